// All partitions: sorted by any figure, filtered by a range of keys.
import { again } from "../again.js";
import { call, keyText, learnKeys, parseKeys } from "../api.js";
import { fill, h, key } from "../dom.js";
import { FIGURES, bytes, count, failed, latency, num, plural, share, span } from "../format.js";
import { Rows } from "../rows.js";
import { showPartition } from "./partition_detail.js";

const EVERY_MS = 5000;
const BY_KEY = "FIGURE_UNSPECIFIED";
const COLUMNS = [
  { title: "Id", width: 5, cell: (s, open) => h("button", { type: "button", class: "link", "aria-label": `Partition ${s.partitionId}, show all about it`, onclick: () => open(s) }, s.partitionId) },
  { title: "From key", width: 15, sort: BY_KEY, cell: (s) => (s.start ? key(keyText(s.start)) : h("span", { class: "muted" }, "first key")) },
  { title: "Primary", width: 9, cell: (s) => s.primary || "–" },
  figure("FIGURE_READS", 6.5, (s) => count(s.reads)),
  figure("FIGURE_WRITES", 6.5, (s) => count(s.writes)),
  figure("FIGURE_SCANNED", 7, (s) => count(s.scanned)),
  figure("FIGURE_READ_BYTES", 8, (s) => bytes(s.readBytes)),
  figure("FIGURE_WRITTEN_BYTES", 9, (s) => bytes(s.writtenBytes)),
  figure("FIGURE_FAILURES", 7, (s) => count(failed(s.failures))),
  figure("FIGURE_TIME", 6, (s) => share(s.time)),
  { title: "Read p99", width: 6.5, number: true, cell: (s) => latency(s.readLatency?.p99S) },
  { title: "Write p99", width: 6.5, number: true, cell: (s) => latency(s.writeLatency?.p99S) },
  figure("FIGURE_RECORDS", 7, (s) => (s.counted ? count(s.records) : "–")),
  figure("FIGURE_BYTES", 7, (s) => (s.counted ? bytes(s.bytes) : "–")),
  figure("FIGURE_LAG", 5.5, (s) => count(s.lagEntries)),
  { title: "In sync", width: 6, number: true, always: true, cell: (s) => h("span", { class: s.inSync < s.replicas ? "warn" : "" }, `${s.inSync}/${s.replicas}`) },
  { title: "Age", width: 7, number: true, always: true, cell: (s) => (s.stale ? h("span", { class: "pill warn" }, num(s.ageS) < 0 ? "never" : `old, ${span(s.ageS)}`) : span(s.ageS)) },
];

function figure(name, width, cell) {
  return { title: FIGURES.find((each) => each.name === name).title, width, sort: name, number: true, cell };
}

function drawRow(stats, open) {
  const known = num(stats.ageS) >= 0;
  const cells = COLUMNS.map((column) => h("td", { class: column.number ? "number" : "" }, column.number && !known && !column.always ? "–" : column.cell(stats, open)));
  return h("tr", { class: stats.stale ? "stale" : "", "data-partition": stats.partitionId }, cells);
}

class Partitions {
  constructor({ root, title, signal, params }) {
    this.sort = FIGURES.some((each) => each.name === params.get("sort")) ? params.get("sort") : BY_KEY;
    this.reverse = false;
    this.range = { start: "", end: "" };
    this.summary = h("p", { role: "status", "aria-live": "polite", class: "muted" }, "…");
    this.trouble = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.body = h("tbody");
    this.heads = COLUMNS.map((column) => this.head(column));
    this.table = h("table", {}, h("caption", { class: "hidden-text" }, "Partitions"), h("thead", {}, h("tr", {}, this.heads)), this.body);
    this.scroller = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Partitions" }, this.table);
    root.classList.add("fill");
    fill(root, h("div", { class: "view-head" }, title, this.summary), this.filter(), this.scroller, this.trouble);
    const open = (stats) => showPartition(stats);
    this.rows = new Rows(this.scroller, this.body, COLUMNS.length, { fetchPage: (...page) => this.fetch(...page), draw: (stats) => drawRow(stats, open), told: (total) => this.told(total) });
    this.live(signal);
  }

  head(column) {
    const inside = column.sort ? h("button", { type: "button", onclick: () => this.sortBy(column.sort) }, column.title, h("span", { "aria-hidden": "true" })) : column.title;
    const made = h("th", { scope: "col", class: column.number ? "number" : "" }, inside);
    made.style.width = `${column.width}rem`;
    return made;
  }

  filter() {
    const from = h("input", { name: "from", size: 24, placeholder: "first key", autocomplete: "off", spellcheck: "false" });
    const to = h("input", { name: "to", size: 24, placeholder: "last key", autocomplete: "off", spellcheck: "false" });
    const form = h("form", { class: "toolbar", role: "search", "aria-label": "Filter by key" }, h("label", {}, "From key", from), h("label", {}, "To key, exclusive", to), h("button", { type: "submit" }, "Filter"), h("button", { type: "reset" }, "All keys"), h("p", { class: "muted small" }, 'Keys as dstk writes them: text, 0x…, ("city", "FR")'));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.narrow(from.value, to.value);
    });
    form.addEventListener("reset", () => this.narrow("", ""));
    return form;
  }

  async narrow(from, to) {
    try {
      const texts = [from, to].filter(Boolean);
      const keys = texts.length ? await parseKeys(texts) : [];
      this.range = { start: from ? keys.shift() : "", end: to ? keys.shift() : "" };
    } catch (error) {
      this.fail(error);
      return;
    }
    await this.reload(true);
  }

  async sortBy(sort) {
    this.reverse = sort === this.sort ? !this.reverse : false;
    this.sort = sort;
    await this.reload(true);
  }

  async reload(fromTop) {
    this.showOrder();
    try {
      await this.rows.reload({ fromTop });
      this.trouble.hidden = true;
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error) {
    if (error.name === "AbortError") return;
    this.trouble.hidden = false;
    this.trouble.textContent = error.message;
  }

  showOrder() {
    COLUMNS.forEach((column, at) => {
      if (!column.sort) return;
      const chosen = column.sort === this.sort;
      const descending = (column.sort === BY_KEY) === this.reverse;
      if (chosen) this.heads[at].setAttribute("aria-sort", descending ? "descending" : "ascending");
      else this.heads[at].removeAttribute("aria-sort");
      this.heads[at].querySelector("span").textContent = chosen ? (descending ? "▼" : "▲") : "";
    });
  }

  async fetch(offset, limit, signal) {
    const answer = await call("ListPartitionStats", { ...this.range, sortBy: this.sort, reverse: this.reverse, offset, limit }, signal);
    await learnKeys(answer.partitions.flatMap((each) => [each.start, each.end]));
    return { rows: answer.partitions, total: answer.total };
  }

  told(total) {
    this.table.setAttribute("aria-rowcount", total + 1);
    const where = this.range.start || this.range.end ? " in the range" : "";
    this.summary.textContent = total ? `${plural(total, "partition")}${where}` : `No partitions${where}`;
  }

  live(signal) {
    again(() => this.reload(false), EVERY_MS, signal, (error) => this.fail(error));
    signal.addEventListener("abort", () => this.rows.end());
  }
}

export const partitions = {
  title: "Partitions",
  show(context) {
    new Partitions(context);
  },
};

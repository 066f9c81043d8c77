// What the overview shows below its charts: the heat map of the last hour, and the busiest partitions.
import { again } from "../again.js";
import { call, keyText, learnKeys } from "../api.js";
import { fill, h, key } from "../dom.js";
import { bytes, count, num, share } from "../format.js";
import { HeatPlot } from "../heat_plot.js";
import { Matrix } from "../matrix.js";

const MAP_MS = 30_000;
const LIST_MS = 5000;
const BUSIEST = 8;

/** A card with the heat map of reads. Its text alternative is the view that it leads to. */
export function preview(signal) {
  const area = h("div", { class: "preview", "aria-hidden": "true" });
  const note = h("p", { class: "muted small", hidden: true });
  const head = h("div", { class: "card-head" }, h("h2", {}, "Reads in the last hour, by key"), h("a", { href: "#/heatmap" }, "Heat map"));
  const plot = new HeatPlot(area, { moved: () => {}, hovered: () => {} }, signal);
  const say = (text) => {
    note.hidden = !text;
    note.textContent = text;
  };
  const ask = async () => {
    const size = { maxRows: Math.max(64, Math.min(512, area.clientHeight)), maxColumns: 128 };
    const answer = await call("GetHistory", { figure: "FIGURE_READS", ...size }, signal);
    await learnKeys(answer.rowStarts);
    const matrix = new Matrix(answer);
    if (matrix.rows && matrix.columns) plot.show(matrix);
    say(matrix.rows && matrix.columns ? "" : "Nothing is recorded yet.");
  };
  again(ask, MAP_MS, signal, (error) => say(error.message));
  return h("section", { class: "card", "aria-label": "Heat map of the last hour" }, head, note, area);
}

/** A card with the partitions that their nodes spend most time on. */
export function busiest(signal) {
  const body = h("tbody");
  const head = h("div", { class: "card-head" }, h("h2", {}, "Busiest partitions"), h("a", { href: "#/partitions?sort=FIGURE_TIME" }, "All partitions"));
  const heads = [["Id"], ["From key"], ["Node"], ["Busy", 1], ["Reads", 1], ["Writes", 1], ["Size", 1]].map(([text, right]) => h("th", { scope: "col", class: right ? "number" : "" }, text));
  const table = h("table", { class: "fixed" }, h("caption", { class: "hidden-text" }, "Busiest partitions"), h("thead", {}, h("tr", {}, heads)), body);
  const ask = async () => {
    const answer = await call("ListPartitionStats", { sortBy: "FIGURE_TIME", limit: BUSIEST }, signal);
    await learnKeys(answer.partitions.map((each) => each.start));
    fill(body, answer.partitions.length ? answer.partitions.map(row) : h("tr", {}, h("td", { colspan: heads.length, class: "empty" }, "There are no partitions.")));
  };
  again(ask, LIST_MS, signal, (error) => fill(body, h("tr", {}, h("td", { colspan: heads.length, class: "empty" }, error.message))));
  return h("section", { class: "card", "aria-label": "Busiest partitions" }, head, table);
}

function row(stats) {
  const number = (text) => h("td", { class: "number" }, num(stats.ageS) < 0 ? "–" : text);
  return h(
    "tr",
    { class: stats.stale ? "stale" : "" },
    h("td", {}, stats.partitionId),
    h("td", {}, stats.start ? key(keyText(stats.start)) : h("span", { class: "muted" }, "first key")),
    h("td", {}, stats.primary),
    number(share(stats.time)),
    number(count(stats.reads)),
    number(count(stats.writes)),
    number(stats.counted ? bytes(stats.bytes) : "–"),
  );
}

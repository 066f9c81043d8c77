// A figure over keys and time.
import { call, keyText, learnKeys, rangeText, sortable } from "../api.js";
import { fill, h, key } from "../dom.js";
import { FIGURES, figure, moment, plural, span, told } from "../format.js";
import { HeatPlot } from "../heat_plot.js";
import { Matrix } from "../matrix.js";
import { PALETTE } from "../palette.js";

const SPANS = [[900, "15 minutes"], [3600, "1 hour"], [21_600, "6 hours"], [86_400, "1 day"], [604_800, "1 week"], [3_024_000, "5 weeks"]];
const SETTLE_MS = 300;
const REFRESH_MS = 30_000;
const MOST_ROWS = 1536;
const HOTTEST = 10;

const option = (value, text, chosen) => h("option", { value, selected: value === chosen }, text);

class HeatMap {
  constructor({ root, title, signal, params }) {
    Object.assign(this, { signal, root });
    this.signal = signal;
    this.home = { start: params.get("start") ?? "", end: params.get("end") ?? "" };
    this.range = { ...this.home };
    this.times = null;
    this.timer = 0;
    this.turn = 0;
    this.summary = h("p", { class: "muted", role: "status", "aria-live": "polite" }, "…");
    this.trouble = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.tip = h("div", { class: "heat-tip", hidden: true });
    this.area = h("div", { class: "heat-plot", tabindex: "0", role: "group", "aria-label": "Heat map: arrows move, plus and minus zoom, 0 shows everything. The table below has the hottest ranges." }, this.tip);
    this.table = h("div", { class: "card wide" });
    this.scaleText = [h("span", {}, "0"), h("span", {}, "")];
    root.classList.add("fill");
    fill(root, h("div", { class: "view-head" }, title, this.summary), this.toolbar(), h("div", { class: "card heat" }, this.area, this.foot()), h("div", {}, this.trouble, this.table));
    this.plot = new HeatPlot(this.area, { moved: (x, y) => this.moved(x, y), hovered: (...at) => this.hover(...at) }, signal);
    this.area.addEventListener("keydown", (event) => this.pressed(event));
    signal.addEventListener("abort", () => clearTimeout(this.timer));
    this.load();
  }

  toolbar() {
    this.figure = h("select", { name: "figure", onchange: () => this.load() }, FIGURES.filter((each) => each.name !== "FIGURE_LAG").map((each) => option(each.name, each.title, "FIGURE_READS")));
    this.span = h("select", { name: "span", onchange: () => this.reset() }, SPANS.map(([seconds, text]) => option(String(seconds), text, "3600")));
    const brightness = h("input", { type: "range", name: "brightness", min: 0, max: 100, value: 70, oninput: () => this.plot.brighten(brightness.value / 100) });
    const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    const modes = ["zoom", "move"].map((mode) => h("button", { type: "button", "aria-pressed": String(mode === "zoom"), onclick: (event) => this.choose(mode, modes, event.target) }, mode === "zoom" ? "Zoom" : "Move"));
    return h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "Heat map" },
      h("label", {}, "Figure", this.figure),
      h("label", {}, "The last", this.span),
      h("label", {}, "Brightness", brightness),
      h("div", { class: "group", role: "group", "aria-label": "Dragging" }, modes),
      h("div", { class: "group" }, button("+", "Zoom in", () => this.plot.zoom(0.6)), button("−", "Zoom out", () => this.plot.zoom(1 / 0.6)), button("←", "Earlier", () => this.plot.pan(-0.3, 0)), button("→", "Later", () => this.plot.pan(0.3, 0)), button("↑", "Smaller keys", () => this.plot.pan(0, -0.3)), button("↓", "Larger keys", () => this.plot.pan(0, 0.3))),
      h("button", { type: "button", onclick: () => this.everything() }, "All keys"),
    );
  }

  foot() {
    const scale = h("canvas", { width: PALETTE.length, height: 1, "aria-hidden": "true" });
    const context = scale.getContext("2d");
    const data = context.createImageData(PALETTE.length, 1);
    new Uint32Array(data.data.buffer).set(PALETTE);
    context.putImageData(data, 0, 0);
    return h(
      "div",
      { class: "heat-foot" },
      h("span", { class: "scale" }, this.scaleText[0], scale, this.scaleText[1]),
      h("span", { class: "scale" }, h("i", { class: "gap", "aria-hidden": "true" }), "nothing is known"),
      h("span", {}, "Wheel zooms, Shift and drag moves"),
    );
  }

  choose(mode, buttons, chosen) {
    this.plot.mode = mode;
    this.area.dataset.mode = mode;
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === chosen)));
    if (this.plot.matrix) this.plot.show(this.plot.matrix, this.plot.seen.y);
  }

  pressed(event) {
    const acts = { ArrowLeft: () => this.plot.pan(-0.2, 0), ArrowRight: () => this.plot.pan(0.2, 0), ArrowUp: () => this.plot.pan(0, -0.2), ArrowDown: () => this.plot.pan(0, 0.2), "+": () => this.plot.zoom(0.7), "-": () => this.plot.zoom(1 / 0.7), 0: () => this.everything() };
    if (!acts[event.key] || !this.plot.matrix) return;
    event.preventDefault();
    acts[event.key]();
  }

  everything() {
    this.range = { start: "", end: "" };
    this.reset();
  }

  reset() {
    this.times = null;
    this.load();
  }

  /** The part that is seen has changed: soon the service is asked for it in more detail. */
  moved(x, y) {
    const { matrix } = this.plot;
    const first = Math.max(0, Math.floor(y[0]));
    const last = Math.min(matrix.rows, Math.ceil(y[1]));
    const isWhole = first === 0 && last === matrix.rows;
    this.times = { fromMs: Math.round(x[0] * 1000), toMs: Math.round(x[1] * 1000) };
    this.inSight = isWhole ? null : { start: matrix.starts[first], end: matrix.endOf(last - 1) };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), SETTLE_MS);
  }

  request() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.area.clientWidth * ratio);
    const height = Math.round(this.area.clientHeight * ratio);
    const now = this.times ?? { fromMs: this.times0(), toMs: 0 };
    return { figure: this.figure.value, ...this.around(), fromMs: String(now.fromMs), toMs: String(now.toMs), maxRows: Math.min(MOST_ROWS, Math.max(64, height)), maxColumns: Math.min(MOST_ROWS, Math.max(64, width)) };
  }

  times0() {
    return Math.round((this.now ?? Date.now()) - Number(this.span.value) * 1000);
  }

  /** The range to ask for: what is seen, and as much before and behind it, so that it can be moved. */
  around() {
    if (!this.inSight) return this.range;
    const rows = this.all ?? [];
    const at = rows.findIndex((each) => sortable(each) > sortable(this.inSight.start));
    const end = this.inSight.end ? rows.findIndex((each) => sortable(each) >= sortable(this.inSight.end)) : rows.length;
    const first = Math.max(0, (at < 0 ? rows.length : at) - 1);
    const last = end < 0 ? rows.length : end;
    const wide = Math.max(1, last - first);
    return { start: first - wide > 0 ? rows[first - wide] : this.range.start, end: last + wide < rows.length ? rows[last + wide] : this.range.end };
  }

  async load() {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    if (!this.times) this.inSight = null;
    try {
      if (!this.times) this.now = Number((await call("ListPartitionStats", { limit: 1 }, this.signal)).atMs);
      const answer = await call("GetHistory", this.request(), this.signal);
      await learnKeys([...answer.rowStarts, answer.end]);
      if (turn === this.turn) this.show(new Matrix(answer));
      this.trouble.hidden = true;
    } catch (error) {
      if (this.signal.aborted) return;
      this.trouble.hidden = false;
      this.trouble.textContent = error.message;
    }
    if (turn === this.turn && !this.signal.aborted && !this.times) this.timer = setTimeout(() => this.load(), REFRESH_MS);
  }

  show(matrix) {
    const kind = figure(this.figure.value);
    if (!this.inSight) this.all = matrix.starts;
    const known = matrix.rows && matrix.columns;
    this.summary.textContent = known ? `${kind.title}, ${plural(matrix.rows, "range")} × ${plural(matrix.columns, "column")}, ${moment(matrix.times[0])} to ${moment(matrix.until)}` : "Nothing is recorded of this time yet.";
    this.scaleText[1].textContent = told(kind, matrix.largest);
    if (known) this.plot.show(matrix, this.rowsInSight(matrix));
    this.list(matrix, kind);
    this.root.dataset.shown = String(this.turn);
  }

  rowsInSight(matrix) {
    if (!this.inSight) return [0, matrix.rows];
    const from = matrix.starts.findLastIndex((each) => sortable(each) <= sortable(this.inSight.start));
    const to = this.inSight.end ? matrix.starts.findIndex((each) => sortable(each) >= sortable(this.inSight.end)) : -1;
    return [Math.max(0, from), to > 0 ? to : matrix.rows];
  }

  hover(row, column, left, top) {
    this.tip.hidden = row < 0;
    if (row < 0) return;
    const { matrix } = this.plot;
    const kind = figure(this.figure.value);
    const value = matrix.at(row, column);
    fill(
      this.tip,
      h("b", {}, Number.isNaN(value) ? "Nothing is known" : told(kind, value)),
      h("div", {}, key(rangeText(matrix.starts[row], matrix.endOf(row)), true)),
      h("div", { class: "muted" }, `partition ${matrix.partitions[row]} on ${matrix.nodes[row] || "no node"}`),
      h("div", { class: "muted" }, `${moment(matrix.times[column])}, ${span((matrix.timeEnd(column) - matrix.times[column]) / 1000)}`),
    );
    const box = this.area.getBoundingClientRect();
    this.tip.style.left = `${left + 16 + this.tip.offsetWidth > box.width ? left - 16 - this.tip.offsetWidth : left + 16}px`;
    this.tip.style.top = `${Math.max(0, Math.min(top + 16, box.height - this.tip.offsetHeight))}px`;
  }

  list(matrix, kind) {
    const heads = [["Range"], ["Node"], ["Partition", 1], ["Largest", 1], ["When"], ["Newest", 1]].map(([text, right]) => h("th", { scope: "col", class: right ? "number" : "" }, text));
    const rows = matrix.hottest(HOTTEST).map((each) =>
      h(
        "tr",
        { "data-row": each.row },
        h("td", {}, key(rangeText(matrix.starts[each.row], matrix.endOf(each.row)))),
        h("td", {}, matrix.nodes[each.row]),
        h("td", { class: "number" }, matrix.partitions[each.row]),
        h("td", { class: "number" }, told(kind, each.value)),
        h("td", {}, moment(each.ms)),
        h("td", { class: "number" }, Number.isNaN(each.newest) ? "–" : told(kind, each.newest)),
      ),
    );
    fill(this.table, h("table", {}, h("caption", {}, "The hottest ranges"), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows.length ? rows : h("tr", {}, h("td", { colspan: heads.length, class: "empty" }, "Nothing is recorded of this time yet.")))));
  }
}

export const heatmap = {
  title: "Heat map",
  show(context) {
    new HeatMap(context);
  },
};

// Live line charts on uPlot.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { h } from "./dom.js";
import { bytes } from "./format.js";
import { colour, themes } from "./theme.js";

const SERIES = ["series-1", "series-2", "series-3", "series-4"];
const SHORTEST_S = 60;
const sharedCursor = uPlot.sync("live");

/** Pixels of one rem: charts grow with the text. */
export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

const DECIMAL = Array.from({ length: 24 }, (_, at) => [1, 2, 5].map((step) => step * 10 ** (at - 7))).flat();
const BINARY = Array.from({ length: 50 }, (_, at) => 2 ** at);

/** Axes in the colours of the theme, with round steps: bytes have powers of two. */
export function axes(text) {
  const font = `${0.75 * rem()}px system-ui, sans-serif`;
  const common = { stroke: colour("muted"), font, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
  return [
    { ...common, grid: { show: false }, size: 1.7 * rem(), gap: 0.3 * rem(), space: 6 * rem(), values: clocks },
    { ...common, size: 4.6 * rem(), space: 2.6 * rem(), incrs: text === bytes ? BINARY : DECIMAL, values: (_, splits) => splits.map((each) => (each ? text(each) : "0")) },
  ];
}

const two = (number) => String(number).padStart(2, "0");

function clocks(_, splits) {
  const fine = splits.length > 1 && splits[1] - splits[0] < 60;
  return splits.map((each) => {
    const at = new Date(each * 1000);
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
    return fine ? `${clock}:${two(at.getSeconds())}` : clock;
  });
}

/** A card with a chart. `lines`: title and how to find the value in the totals. `text`: writes a value. */
export class LiveChart {
  constructor(title, lines, text, signal) {
    this.lines = lines;
    this.text = text;
    this.values = lines.map(() => h("b", {}, "–"));
    this.keys = lines.map((line, at) => h("span", {}, h("i", {}), line.title, " ", this.values[at]));
    this.plot = h("div", { class: "plot", "aria-hidden": "true" });
    const head = h("div", { class: "chart-head" }, h("h2", {}, title), h("p", { class: "legend" }, this.keys));
    this.element = h("section", { class: "card chart", "aria-label": title }, head, this.plot);
    this.data = [[], ...lines.map(() => [])];
    this.resizing = new ResizeObserver(() => this.#resize());
    this.resizing.observe(this.plot);
    themes.addEventListener("change", () => this.#make(), { signal });
    signal.addEventListener("abort", () => this.#end());
  }

  /** Draws the totals of the last minutes. */
  show(history) {
    this.data = [history.map((each) => Number(each.atMs) / 1000), ...this.lines.map((line) => history.map(line.value))];
    this.lines.forEach((_, at) => (this.values[at].textContent = this.text(this.data[at + 1].at(-1))));
    this.chart?.setData(this.data);
  }

  #resize() {
    if (!this.plot.clientWidth) return;
    if (this.chart) this.chart.setSize(this.#size());
    else this.#make();
  }

  #size() {
    return { width: this.plot.clientWidth, height: this.plot.clientHeight };
  }

  #make() {
    this.chart?.destroy();
    this.keys.forEach((each, at) => (each.firstChild.style.background = colour(SERIES[at])));
    const series = this.lines.map((_, at) => ({ stroke: colour(SERIES[at]), width: 1.5, points: { show: false } }));
    const options = {
      ...this.#size(),
      legend: { show: false },
      cursor: { sync: { key: sharedCursor.key }, drag: { x: false, y: false }, points: { size: 6 } },
      padding: [0.5 * rem(), 0.75 * rem(), 0, 0],
      scales: { x: { range: (_, low, high) => [Math.min(low, high - SHORTEST_S), high] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
      axes: axes(this.text),
      series: [{}, ...series],
      hooks: { setCursor: [(chart) => this.#tell(chart.cursor.idx)] },
    };
    this.chart = new uPlot(options, this.data, this.plot);
  }

  #tell(index) {
    const at = index ?? this.data[0].length - 1;
    this.lines.forEach((_, line) => (this.values[line].textContent = this.data[0].length ? this.text(this.data[line + 1][at]) : "–"));
  }

  #end() {
    this.resizing.disconnect();
    this.chart?.destroy();
  }
}

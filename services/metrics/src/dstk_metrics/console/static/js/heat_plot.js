// A matrix as a picture: uPlot has the axes, the zoom and the cursor, and we draw an image where it would draw lines.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { keyText } from "./api.js";
import { axes, rem } from "./charts.js";
import { paint } from "./palette.js";
import { colour, themes } from "./theme.js";

const ZOOM = 0.75;
const LABEL_CHARACTERS = 22;

/** `moved(x, y)`: called when the part that is seen has changed. `hovered(row, column, left, top)`: row -1 for none. */
export class HeatPlot {
  matrix = null;
  brightness = 0.7;
  mode = "zoom";

  constructor(element, { moved, hovered }, signal) {
    Object.assign(this, { element, moved, hovered });
    this.image = document.createElement("canvas");
    this.resizing = new ResizeObserver(() => this.#resize());
    this.resizing.observe(element);
    themes.addEventListener("change", () => this.#make(), { signal });
    signal.addEventListener("abort", () => {
      this.resizing.disconnect();
      this.chart?.destroy();
    });
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.#grab(event), { capture: true });
  }

  /** Shows a matrix, and of it the rows y[0]..y[1]. */
  show(matrix, y = [0, matrix.rows]) {
    this.matrix = matrix;
    this.seen = { x: [matrix.times[0] / 1000, matrix.until / 1000], y };
    this.#paint();
    this.#make();
  }

  /** Paints with another brightness, 0..1. */
  brighten(brightness) {
    this.brightness = brightness;
    if (!this.matrix) return;
    this.#paint();
    this.chart?.redraw(false);
  }

  /** Moves what is seen, in parts of its width and height. */
  pan(right, down) {
    const { x, y } = this.seen;
    const [width, height] = [x[1] - x[0], y[1] - y[0]];
    const top = Math.min(Math.max(0, y[0] + down * height), this.matrix.rows - height);
    this.#see([x[0] + right * width, x[1] + right * width], [top, top + height]);
  }

  /** Zooms around the middle, or around a point (in parts): factor below 1 goes in. */
  zoom(factor, across = 0.5, down = 0.5) {
    const around = ([low, high], part) => {
      const point = low + part * (high - low);
      return [point - (point - low) * factor, point + (high - point) * factor];
    };
    const y = around(this.seen.y, down);
    this.#see(around(this.seen.x, across), [Math.max(0, y[0]), Math.min(this.matrix.rows, y[1])]);
  }

  #see(x, y) {
    if (y[1] - y[0] < 1) y = [Math.floor(y[0]), Math.floor(y[0]) + 1];
    if (x[1] - x[0] < 120) return;
    this.seen = { x, y };
    this.chart.batch(() => {
      this.chart.setScale("x", { min: x[0], max: x[1] });
      this.chart.setScale("y", { min: y[0], max: y[1] });
    });
    this.moved(x, y);
  }

  #paint() {
    const { rows, columns, values, largest } = this.matrix;
    this.image.width = Math.max(1, columns);
    this.image.height = Math.max(1, rows);
    const context = this.image.getContext("2d");
    const data = context.createImageData(this.image.width, this.image.height);
    paint(new Uint32Array(data.data.buffer), values, largest, this.brightness);
    context.putImageData(data, 0, 0);
  }

  #make() {
    this.chart?.destroy();
    this.chart = null;
    if (!this.matrix?.rows || !this.matrix.columns || !this.element.clientWidth) return;
    const { x, y } = this.seen;
    const [time, keys] = axes(String);
    const options = {
      width: this.element.clientWidth,
      height: this.element.clientHeight,
      legend: { show: false },
      padding: [0.5 * rem(), 0.75 * rem(), 0, 0],
      scales: { x: { time: true, range: (_, low, high) => [low, high] }, y: { dir: -1, range: (_, low, high) => [low, high] } },
      axes: [time, { ...keys, grid: { show: false }, size: 11.5 * rem(), space: 2.2 * rem(), splits: (_, __, low, high) => this.#splits(low, high), values: (_, splits) => splits.map((row) => this.#label(row)) }],
      series: [{}, { paths: () => null, points: { show: false } }],
      cursor: { drag: { x: this.mode === "zoom", y: this.mode === "zoom", uni: 20, setScale: false }, points: { show: false } },
      hooks: { drawAxes: [(chart) => this.#draw(chart)], setCursor: [(chart) => this.#hover(chart)], setSelect: [(chart) => this.#selected(chart)] },
    };
    this.chart = new uPlot(options, [x, y], this.element);
    this.chart.batch(() => {
      this.chart.setScale("x", { min: x[0], max: x[1] });
      this.chart.setScale("y", { min: y[0], max: y[1] });
    });
  }

  #splits(low, high) {
    const rows = Math.max(1, Math.ceil((high - low) / Math.max(2, this.element.clientHeight / (2.2 * rem()))));
    const found = [];
    for (let row = Math.ceil(low); row < high; row += rows) found.push(row);
    return found;
  }

  #label(row) {
    const text = keyText(this.matrix.starts[row] ?? "") || (row === 0 ? "first key" : "");
    return text.length > LABEL_CHARACTERS ? `${text.slice(0, LABEL_CHARACTERS - 1)}…` : text;
  }

  #draw(chart) {
    const { ctx, bbox } = chart;
    const { rows } = this.matrix;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    this.#hatch(ctx, bbox);
    ctx.imageSmoothingEnabled = false;
    const top = chart.valToPos(0, "y", true);
    const bottom = chart.valToPos(rows, "y", true);
    for (const [first, last] of this.#runs()) {
      const left = chart.valToPos(this.matrix.times[first] / 1000, "x", true);
      const right = chart.valToPos(this.matrix.timeEnd(last) / 1000, "x", true);
      ctx.drawImage(this.image, first, 0, last + 1 - first, rows, left, top, right - left, bottom - top);
    }
    ctx.restore();
  }

  /** Columns side by side that last equally long: each run is one image. */
  #runs() {
    const { columns, times } = this.matrix;
    const found = [];
    let first = 0;
    for (let at = 1; at <= columns; at += 1) {
      const same = at < columns && Math.abs(this.matrix.timeEnd(at) - times[at] - (this.matrix.timeEnd(first) - times[first])) < 1;
      if (!same) {
        found.push([first, at - 1]);
        first = at;
      }
    }
    return found;
  }

  /** Where nothing is known: stripes, which no value looks like. */
  #hatch(ctx, bbox) {
    const tile = document.createElement("canvas");
    const size = Math.round(0.55 * rem() * devicePixelRatio);
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    pen.fillStyle = colour("gap");
    pen.fillRect(0, 0, size, size);
    pen.strokeStyle = colour("hatch");
    pen.lineWidth = size / 9;
    for (const shift of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
      pen.stroke();
    }
    ctx.fillStyle = ctx.createPattern(tile, "repeat");
    ctx.fillRect(bbox.left, bbox.top, bbox.width, bbox.height);
  }

  #hover(chart) {
    const { left, top } = chart.cursor;
    if (left === undefined || left < 0) return this.hovered(-1, -1, 0, 0);
    const row = Math.floor(chart.posToVal(top, "y"));
    const column = this.matrix.columnAt(chart.posToVal(left, "x") * 1000);
    const inside = row >= 0 && row < this.matrix.rows && column >= 0;
    return this.hovered(inside ? row : -1, column, left + chart.over.offsetLeft, top + chart.over.offsetTop);
  }

  #selected(chart) {
    const { left, top, width, height } = chart.select;
    if (width < 4 && height < 4) return;
    const value = (at, scale) => chart.posToVal(at, scale);
    const whole = { x: width >= chart.over.clientWidth - 1, y: height >= chart.over.clientHeight - 1 };
    const x = whole.x ? this.seen.x : [value(left, "x"), value(left + width, "x")];
    const y = whole.y ? this.seen.y : [Math.floor(value(top, "y")), Math.ceil(value(top + height, "y"))];
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#see(x, y);
  }

  #wheel(event) {
    if (!this.chart) return;
    event.preventDefault();
    const box = this.chart.over.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  #grab(event) {
    if (!this.chart || (this.mode !== "move" && !event.shiftKey)) return;
    event.stopPropagation();
    event.preventDefault();
    const box = this.chart.over.getBoundingClientRect();
    let [x, y] = [event.clientX, event.clientY];
    const move = (next) => {
      this.pan((x - next.clientX) / box.width, (y - next.clientY) / box.height);
      [x, y] = [next.clientX, next.clientY];
    };
    const done = () => removeEventListener("pointermove", move);
    addEventListener("pointermove", move);
    addEventListener("pointerup", done, { once: true });
  }

  #resize() {
    if (!this.element.clientWidth) return;
    if (this.chart) this.chart.setSize({ width: this.element.clientWidth, height: this.element.clientHeight });
    else this.#make();
  }
}

// A table of any length: only the rows that can be seen are there, and they are asked for page by page.
import { fill, h } from "./dom.js";

const PAGE = 100;
const MARGIN = 12;
const KEPT_PAGES = 12;

/** `fetchPage(offset, limit, signal)` gives {rows, total}; `draw(row)` gives a <tr>. */
export class Rows {
  total = 0;
  #pages = new Map();
  #asking = new AbortController();
  #drawn = "";

  constructor(scroller, body, columns, { fetchPage, draw, told }) {
    Object.assign(this, { scroller, body, columns, fetchPage, draw, told });
    scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.show()), { passive: true });
    this.resizing = new ResizeObserver(() => this.show());
    this.resizing.observe(scroller);
  }

  /** Asks for the rows again: from the top when their order has changed. */
  async reload({ fromTop = false } = {}) {
    this.#asking.abort();
    this.#asking = new AbortController();
    if (fromTop) this.scroller.scrollTop = 0;
    const wanted = this.#pagesInSight();
    const kept = new Map();
    await Promise.all(wanted.map((page) => this.#fetch(page, kept, this.#asking.signal)));
    this.#pages = kept;
    this.#drawn = "";
    this.show();
  }

  /** Draws what can be seen, and asks for what is missing. */
  show() {
    const [first, last] = this.#inSight();
    const missing = this.#pagesInSight().filter((page) => !this.#pages.has(page) && page * PAGE < this.total);
    missing.forEach((page) => this.#fill(page));
    const state = `${first} ${last} ${this.total} ${[...this.#pages.keys()]}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.#row(at));
    fill(this.body, this.#spacer(first), rows, this.#spacer(this.total - last));
  }

  /** Ends it. */
  end() {
    this.#asking.abort();
    this.resizing.disconnect();
  }

  #row(at) {
    const row = this.#pages.get(Math.floor(at / PAGE))?.[at % PAGE];
    const made = row ? this.draw(row) : h("tr", {}, h("td", { colspan: this.columns }, "…"));
    made.setAttribute("aria-rowindex", at + 2); // the first one is the head
    return made;
  }

  #spacer(rows) {
    if (rows <= 0) return null;
    const cell = h("td", { colspan: this.columns });
    const made = h("tr", { class: "spacer", "aria-hidden": "true" }, cell);
    made.style.height = `${rows * this.#rowHeight()}px`;
    return made;
  }

  #rowHeight() {
    return 2.4 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  #inSight() {
    const height = this.#rowHeight();
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - MARGIN);
    return [Math.min(first, this.total), Math.min(this.total, first + Math.ceil(this.scroller.clientHeight / height) + 2 * MARGIN)];
  }

  #pagesInSight() {
    const [first, last] = this.#inSight();
    const pages = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(Math.max(first, last - 1) / PAGE); page += 1) pages.push(page);
    return pages;
  }

  async #fill(page) {
    this.#pages.set(page, []);
    for (const old of [...this.#pages.keys()].slice(0, -KEPT_PAGES)) this.#pages.delete(old);
    await this.#fetch(page, this.#pages, this.#asking.signal).catch(() => this.#pages.delete(page)); // scrolling or the next reload asks again
    this.#drawn = "";
    this.show();
  }

  async #fetch(page, pages, signal) {
    const { rows, total } = await this.fetchPage(page * PAGE, PAGE, signal);
    this.total = total;
    pages.set(page, rows);
    this.told(total);
  }
}

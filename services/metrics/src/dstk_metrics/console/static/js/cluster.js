// Nodes, events and findings: asked for again and again while a view shows them.
import { get } from "./api.js";

const EVERY_MS = 5000;

class Cluster extends EventTarget {
  newest = null;
  trouble = "";
  #timer = 0;

  /** Asks now, and from then on. */
  start() {
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask());
    this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    try {
      this.newest = await get("/api/cluster");
      this.trouble = this.newest.trouble;
    } catch (error) {
      this.trouble = error.message;
    }
    this.dispatchEvent(new Event("change"));
    if (!document.hidden) this.#timer = setTimeout(() => this.#ask(), EVERY_MS);
  }
}

export const cluster = new Cluster();

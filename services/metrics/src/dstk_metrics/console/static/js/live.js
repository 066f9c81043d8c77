// The cluster's totals as they arrive, the last minutes of them, and the state of the connection.

const KEPT = 900;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const SILENT_MS = 15_000;

class Live extends EventTarget {
  state = "opening";
  trouble = "";
  newest = null;
  history = [];
  #source = null;
  #failures = 0;
  #timer = 0;

  /** Connects, and keeps connected while the page can be seen. */
  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#open()));
    this.#open();
  }

  #open() {
    this.#close();
    this.#source = new EventSource("/api/v1/WatchStats?intervalMs=1000");
    this.#source.onmessage = (event) => this.#arrived(JSON.parse(event.data));
    this.#source.addEventListener("trouble", (event) => this.#lost(JSON.parse(event.data).message));
    this.#source.onerror = () => this.#lost("");
    this.#watch();
  }

  #arrived(stats) {
    this.#failures = 0;
    this.newest = stats;
    this.history.push(stats);
    if (this.history.length > KEPT) this.history.shift();
    this.#show("live", "");
    this.#watch();
    this.dispatchEvent(new Event("stats"));
  }

  #lost(trouble) {
    this.#close();
    this.#failures += 1;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
    this.#timer = setTimeout(() => this.#open(), pause * (0.75 + Math.random() / 2));
    this.#show("lost", trouble);
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(""), SILENT_MS);
  }

  #pause() {
    this.#close();
    this.#show("paused", "");
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #show(state, trouble) {
    const changed = state !== this.state || trouble !== this.trouble;
    this.state = state;
    this.trouble = trouble;
    if (changed) this.dispatchEvent(new Event("state"));
  }
}

export const live = new Live();

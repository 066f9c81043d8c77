// The answer of GetHistory as a matrix.

/** Rows of keys and columns of time, with the value of each, NaN where nothing is known. */
export class Matrix {
  constructor(answer) {
    this.starts = answer.rowStarts;
    this.end = answer.end;
    this.nodes = answer.rowNodes;
    this.partitions = answer.rowPartitions;
    this.times = answer.columnTimesMs.map(Number);
    this.until = Number(answer.untilMs);
    this.values = floats(answer.values);
    this.largest = this.values.reduce((most, each) => (each > most ? each : most), 0);
  }

  get rows() {
    return this.starts.length;
  }

  get columns() {
    return this.times.length;
  }

  at(row, column) {
    return this.values[row * this.columns + column];
  }

  endOf(row) {
    return row + 1 < this.rows ? this.starts[row + 1] : this.end;
  }

  timeEnd(column) {
    return column + 1 < this.columns ? this.times[column + 1] : this.until;
  }

  /** The column at a time, or -1. */
  columnAt(ms) {
    if (!this.columns || ms < this.times[0] || ms >= this.until) return -1;
    let [low, high] = [0, this.columns - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= ms) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The hottest rows: each with its largest value, when that was, and its newest value. */
  hottest(most) {
    const found = this.starts.map((_, row) => this.#peak(row)).filter((each) => each.value > 0);
    return found.sort((one, other) => other.value - one.value).slice(0, most);
  }

  #peak(row) {
    let [value, column, newest] = [-1, 0, NaN];
    for (let at = 0; at < this.columns; at += 1) {
      const here = this.at(row, at);
      if (here > value) [value, column] = [here, at];
      if (!Number.isNaN(here)) newest = here;
    }
    return { row, value, ms: this.times[column], newest };
  }
}

function floats(encoded) {
  const text = atob(encoded);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new Float32Array(bytes.buffer);
}

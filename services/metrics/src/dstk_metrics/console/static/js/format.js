// Numbers, sizes and times for people.

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const COUNTS = ["", "k", "M", "G", "T"];

/** A 64-bit number of protobuf's JSON, or "NaN", as a number. */
export const num = (value) => (value === undefined || value === null ? 0 : Number(value));

const digits = (value) => (value >= 100 ? 0 : value >= 10 ? 1 : 2);

function scaled(value, step, units) {
  let unit = 0;
  while (Math.abs(value) >= step && unit < units.length - 1) {
    value /= step;
    unit += 1;
  }
  return [value, units[unit]];
}

/** A count or a rate: 1,234 or 41.2 k. */
export function count(value) {
  const given = num(value);
  if (Math.abs(given) < 10_000) return given.toLocaleString("en", { maximumFractionDigits: Number.isInteger(given) ? 0 : digits(Math.abs(given)) });
  const [small, unit] = scaled(given, 1000, COUNTS);
  return `${small.toFixed(digits(Math.abs(small)))} ${unit}`;
}

/** Bytes: 41.2 MiB. */
export function bytes(value) {
  const [small, unit] = scaled(num(value), 1024, BYTES);
  return `${unit === "B" ? Math.round(small) : small.toFixed(digits(Math.abs(small)))} ${unit}`;
}

/** Seconds as a latency: 310 µs, 2.1 ms, 1.20 s. */
export function latency(value) {
  const seconds = num(value);
  if (!seconds) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  return seconds < 1 ? `${(seconds * 1000).toFixed(digits(seconds * 1000))} ms` : `${seconds.toFixed(2)} s`;
}

/** Seconds as a time span: 9 s, 5 min, 3 h 12 min. */
export function span(value) {
  const seconds = Math.max(0, Math.round(num(value)));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.round((seconds % 86_400) / 3600)} h`;
}

/** A share: 0..1 as per cent. */
export const share = (value) => `${(num(value) * 100).toFixed(num(value) < 0.1 ? 1 : 0)}%`;

/** Unix milliseconds as a local time of day. */
export const time = (ms) => new Date(num(ms)).toLocaleTimeString("en-GB");

/** Unix milliseconds as a local date and time. */
export const moment = (ms) => new Date(num(ms)).toLocaleString("sv-SE");

/** "1 node", "2 nodes". */
export const plural = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

/** The figures of metrics.proto: name, what it is called, how it is written, and where a partition has it. */
export const FIGURES = [
  { name: "FIGURE_READS", title: "Reads", unit: "/s", field: "reads", text: count },
  { name: "FIGURE_WRITES", title: "Writes", unit: "/s", field: "writes", text: count },
  { name: "FIGURE_SCANNED", title: "Scanned", unit: "/s", field: "scanned", text: count },
  { name: "FIGURE_READ_BYTES", title: "Read bytes", unit: "/s", field: "readBytes", text: bytes },
  { name: "FIGURE_WRITTEN_BYTES", title: "Written bytes", unit: "/s", field: "writtenBytes", text: bytes },
  { name: "FIGURE_FAILURES", title: "Failures", unit: "/s", field: "failures", text: count },
  { name: "FIGURE_TIME", title: "Busy", unit: "", field: "time", text: share },
  { name: "FIGURE_RECORDS", title: "Records", unit: "", field: "records", text: count },
  { name: "FIGURE_BYTES", title: "Size", unit: "", field: "bytes", text: bytes },
  { name: "FIGURE_LAG", title: "Lag", unit: " writes", field: "lagEntries", text: count },
];

/** The figure of that name. */
export const figure = (name) => FIGURES.find((each) => each.name === name);

/** A figure's value with its unit. */
export const told = (kind, value) => `${kind.text(value)}${kind.unit}`;

/** Operations a second that a node refused or failed: what Figure.FAILURES counts. */
export const failed = (rates) => num(rates?.refused) + num(rates?.server);

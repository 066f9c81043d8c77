// The cluster on one page.
import { cluster } from "../cluster.js";
import { LiveChart } from "../charts.js";
import { fill, h, say } from "../dom.js";
import { bytes, count, failed, latency, moment, num, plural, share, span } from "../format.js";
import { live } from "../live.js";
import { busiest, preview } from "./overview_details.js";

const TILES = [
  { title: "Reads", value: (s) => count(s.reads), unit: "/s", note: (s) => `${bytes(s.readBytes)}/s` },
  { title: "Writes", value: (s) => count(s.writes), unit: "/s", note: (s) => `${bytes(s.writtenBytes)}/s` },
  { title: "Scanned records", value: (s) => count(s.scanned), unit: "/s", note: (s) => `nodes busy: ${num(s.time).toFixed(2)} s/s` },
  { title: "Read latency, p99", value: (s) => latency(s.readLatency?.p99S), note: (s) => `half within ${latency(s.readLatency?.p50S)}` },
  { title: "Write latency, p99", value: (s) => latency(s.writeLatency?.p99S), note: (s) => `half within ${latency(s.writeLatency?.p50S)}` },
  { title: "Failures", value: (s) => count(failed(s.failures)), unit: "/s", note: (s) => `${count(s.failures?.client)}/s by callers`, level: (s) => num(s.failures?.server) > 0 && "bad" },
  { title: "Records", value: (s) => count(s.records), note: (s) => (s.uncountedPartitions ? `${plural(s.uncountedPartitions, "partition")} not counted` : `± ${count(s.recordsError)}`) },
  { title: "Data", value: (s) => bytes(s.bytes), note: (s) => `± ${bytes(s.bytesError)}` },
  { title: "Partitions served", value: (s) => count(s.servingPartitions), of: (s) => count(s.partitions), note: (s) => (s.stalePartitions ? `${count(s.stalePartitions)} with old figures` : "all figures are new"), level: (s) => s.servingPartitions < s.partitions && "bad" },
  { title: "Replicas in sync", value: (s) => count(s.inSyncReplicas), of: (s) => count(s.replicas), note: (s) => `at most ${plural(num(s.lagEntries), "write")} behind`, level: (s) => s.inSyncReplicas < s.replicas && "warn" },
  { title: "Nodes reporting", value: (s) => count(s.reportingNodes), of: (s) => count(s.nodes), note: (s) => (s.reportingNodes < s.nodes ? `${plural(s.nodes - s.reportingNodes, "node")} silent` : "none is silent"), level: (s) => s.reportingNodes < s.nodes && "bad" },
  { title: "Disk free", value: (s) => (num(s.capacityBytes) ? share(num(s.freeBytes) / num(s.capacityBytes)) : "–"), note: (s) => `${bytes(s.freeBytes)} of ${bytes(s.capacityBytes)}`, level: (s) => num(s.freeBytes) < 0.1 * num(s.capacityBytes) && "warn" },
];

const CHARTS = [
  ["Operations a second", [line("reads", (s) => num(s.reads)), line("writes", (s) => num(s.writes)), line("scanned", (s) => num(s.scanned))], count],
  ["Latency", [line("read p50", (s) => num(s.readLatency?.p50S)), line("read p99", (s) => num(s.readLatency?.p99S)), line("write p50", (s) => num(s.writeLatency?.p50S)), line("write p99", (s) => num(s.writeLatency?.p99S))], latency],
  ["Bytes a second", [line("read", (s) => num(s.readBytes)), line("written", (s) => num(s.writtenBytes))], bytes],
  ["Failures a second", [line("callers", (s) => num(s.failures?.client)), line("refused", (s) => num(s.failures?.refused)), line("nodes", (s) => num(s.failures?.server))], count],
];

function line(title, value) {
  return { title, value };
}

const tile = (spec) => {
  const value = h("dd", {}, "–");
  const note = h("dd", { class: "note" }, "");
  return { spec, value, note, element: h("div", { class: "card tile" }, h("dt", {}, spec.title), value) };
};

function showTile(made, stats) {
  const { spec, value, note, element } = made;
  if (!note.isConnected) element.append(note);
  fill(value, spec.value(stats), spec.unit ? h("small", {}, ` ${spec.unit}`) : "", spec.of ? h("small", {}, ` of ${spec.of(stats)}`) : "");
  value.className = (spec.level && spec.level(stats)) || "";
  note.className = "note";
  say(note, spec.note(stats));
}

/** The sentence about the cluster's health, and how bad it is. */
export function health(found, trouble) {
  if (!found) return trouble ? ["unknown", `The doctor cannot look at the cluster: ${trouble}`] : ["unknown", "The doctor looks at the cluster …"];
  const { error = 0, warning = 0, note = 0 } = found.severities;
  if (error) return ["bad", `${plural(error, "error")}${warning ? ` and ${plural(warning, "warning")}` : ""}. First, ${found.findings[0].where}: ${found.findings[0].what}.`];
  if (warning) return ["warn", `It works, with ${plural(warning, "warning")}. First, ${found.findings[0].where}: ${found.findings[0].what}.`];
  return ["good", `The cluster is healthy: all ${found.checks} checks pass${note ? `, with ${plural(note, "note")}` : ""}.`];
}

const MARKS = { good: "✓", warn: "!", bad: "✕", unknown: "?" };

function healthCard() {
  const mark = h("span", { class: "mark", "aria-hidden": "true" });
  const text = h("p", { role: "status", "aria-live": "polite" });
  const more = h("a", { class: "more", href: "#/findings" });
  const element = h("section", { class: "health", "aria-label": "Health" }, mark, text, more);
  const show = () => {
    const [level, sentence] = health(cluster.newest, cluster.trouble);
    element.dataset.level = level;
    mark.textContent = MARKS[level];
    more.textContent = level === "good" || level === "unknown" ? "All findings" : "What to do";
    say(text, sentence);
  };
  return { element, show };
}

export const overview = {
  title: "Overview",
  show({ root, title, signal }) {
    const when = h("p", { class: "muted small" });
    const card = healthCard();
    const tiles = TILES.map(tile);
    const charts = CHARTS.map(([name, lines, text]) => new LiveChart(name, lines, text, signal));
    const empty = h("p", { class: "notice", hidden: true }, "The cluster has no partitions yet.");
    fill(
      root,
      h("div", { class: "view-head" }, title, when),
      card.element,
      empty,
      h("dl", { class: "tiles" }, tiles.map((each) => each.element)),
      h("div", { class: "charts" }, charts.map((each) => each.element)),
      h("div", { class: "pair" }, preview(signal), busiest(signal)),
    );
    const show = () => {
      if (!live.newest) return;
      tiles.forEach((each) => showTile(each, live.newest));
      charts.forEach((each) => each.show(live.history));
      empty.hidden = live.newest.partitions > 0;
      when.textContent = `as of ${moment(live.newest.atMs)}, the last ${span(live.history.length)} below`;
    };
    live.addEventListener("stats", show, { signal });
    cluster.addEventListener("change", card.show, { signal });
    card.show();
    show();
  },
};

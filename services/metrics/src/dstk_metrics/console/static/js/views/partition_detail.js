// All about one partition, with its replicas.
import { get, rangeText } from "../api.js";
import { fill, h, key } from "../dom.js";
import { bytes, count, failed, latency, moment, num, share, span } from "../format.js";

function facts(stats) {
  const known = num(stats.ageS) >= 0;
  return [
    ["Primary", stats.primary || "–"],
    ["Epoch", stats.epoch],
    ["Figures from", known ? `${span(stats.ageS)} ago` : "never"],
    ["Reads", `${count(stats.reads)}/s`],
    ["Writes", `${count(stats.writes)}/s`],
    ["Scanned", `${count(stats.scanned)}/s`],
    ["Read", `${bytes(stats.readBytes)}/s`],
    ["Written", `${bytes(stats.writtenBytes)}/s`],
    ["Failures", `${count(failed(stats.failures))}/s`],
    ["Failures by callers", `${count(stats.failures?.client)}/s`],
    ["Busy", share(stats.time)],
    ["Wait for the disk", latency(stats.queueWaitS)],
    ["Read latency", `${latency(stats.readLatency?.p50S)}, p99 ${latency(stats.readLatency?.p99S)}`],
    ["Write latency", `${latency(stats.writeLatency?.p50S)}, p99 ${latency(stats.writeLatency?.p99S)}`],
    ["Records", stats.counted ? `${count(stats.records)} ± ${count(stats.recordsError)}` : "not counted"],
    ["Size", stats.counted ? `${bytes(stats.bytes)} ± ${bytes(stats.bytesError)}` : "not counted"],
    ["Sequence number", count(stats.sequence)],
    ["Lag", `${count(stats.lagEntries)} writes, ${latency(stats.lagS)}`],
  ];
}

function replicaRow(replica, inSync) {
  const role = replica.primary ? "primary" : inSync.includes(replica.node) ? "in sync" : "learner";
  const state = replica.quarantined ? ["bad", "quarantined"] : replica.needsSnapshot ? ["warn", "needs a snapshot"] : [role === "learner" ? "warn" : "good", role];
  return h("tr", {}, h("th", { scope: "row" }, replica.node), h("td", {}, h("span", { class: `pill ${state[0]}` }, state[1])), h("td", { class: "number" }, replica.positionEpoch), h("td", { class: "number" }, count(replica.positionSequence)));
}

function replicaTable(found) {
  if (!found.replicas.length) return h("p", { class: "muted" }, "No node reports a replica of it.");
  const inSync = found.status?.partition?.inSync ?? [];
  const heads = [["Node"], ["Replica"], ["Epoch", 1], ["Last write on disk", 1]].map(([text, right]) => h("th", { scope: "col", class: right ? "number" : "" }, text));
  return h("table", {}, h("caption", {}, `Replicas, as of ${moment(found.atMs)}`), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, found.replicas.map((each) => replicaRow(each, inSync))));
}

/** Shows a partition in a dialog. */
export async function showPartition(stats) {
  const close = h("button", { type: "button" }, "Close");
  const replicas = h("div", { "aria-live": "polite" }, "…");
  const heat = h("a", { href: `#/heatmap?start=${encodeURIComponent(stats.start)}&end=${encodeURIComponent(stats.end)}` }, "Its heat map");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "partition-title" },
    h("div", { class: "dialog-head" }, h("h2", { id: "partition-title" }, `Partition ${stats.partitionId}`), close),
    key(rangeText(stats.start, stats.end), true),
    h("dl", { class: "facts-grid" }, facts(stats).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    replicas,
    h("p", {}, heat),
  );
  close.addEventListener("click", () => dialog.close());
  heat.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  try {
    fill(replicas, replicaTable(await get(`/api/replicas?partition=${stats.partitionId}`)));
  } catch (error) {
    fill(replicas, h("p", { class: "notice" }, `The replicas are not known: ${error.message}`));
  }
}

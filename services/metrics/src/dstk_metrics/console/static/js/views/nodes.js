// The storage nodes.
import { cluster } from "../cluster.js";
import { fill, h } from "../dom.js";
import { bytes, count, moment, num, share, span } from "../format.js";

const STATES = { NODE_STATE_STARTING: "starting", NODE_STATE_SERVING: "serving", NODE_STATE_LEAVING: "leaving" };
const DESIRED = { DESIRED_STATE_CORDONED: "cordoned", DESIRED_STATE_DRAINED: "draining", DESIRED_STATE_REMOVED: "removed" };
const HEADS = [["Node"], ["State"], ["Address"], ["Zone"], ["Version"], ["Primaries", 1], ["Replicas", 1], ["Data", 1], ["Disk free", 1], ["Reclaimable", 1], ["Up for", 1]];

/** What a node is like: how bad, and in a word. */
function state(status, silent) {
  if (!status.alive) return ["bad", "gone"];
  if (silent) return ["bad", "silent"];
  if (status.readOnly) return ["bad", "read-only"];
  if (!status.etcdReachable) return ["warn", "no etcd"];
  if (DESIRED[status.desiredState]) return ["warn", DESIRED[status.desiredState]];
  return [status.node.state === "NODE_STATE_SERVING" ? "good" : "warn", STATES[status.node.state] ?? "unknown"];
}

function row(status, silentNodes) {
  const silent = silentNodes.includes(status.node.id) || (status.alive && !num(status.clockMs));
  const [level, word] = state(status, silent);
  const told = status.alive && !silent;
  const number = (text) => h("td", { class: "number" }, told ? text : "–");
  const capacity = num(status.node.capacityBytes);
  return h(
    "tr",
    { class: told ? "" : "stale", "data-node": status.node.id },
    h("th", { scope: "row" }, status.node.id),
    h("td", {}, h("span", { class: `pill ${level}` }, word)),
    h("td", {}, status.node.address),
    h("td", {}, status.node.zone || "–"),
    h("td", {}, status.node.version || "–"),
    number(count(status.primaries)),
    number(count(status.replicas)),
    number(bytes(status.estimatedBytes)),
    number(capacity ? `${bytes(status.freeBytes)} (${share(num(status.freeBytes) / capacity)})` : bytes(status.freeBytes)),
    number(bytes(status.reclaimableBytes)),
    number(span(status.uptimeS)),
  );
}

export const nodes = {
  title: "Nodes",
  show({ root, title, signal }) {
    const when = h("p", { class: "muted small" });
    const trouble = h("p", { class: "notice", hidden: true });
    const body = h("tbody");
    const head = h("tr", {}, HEADS.map(([text, right]) => h("th", { scope: "col", class: right ? "number" : "" }, text)));
    const table = h("table", {}, h("caption", { class: "hidden-text" }, "Storage nodes"), h("thead", {}, head), body);
    fill(root, h("div", { class: "view-head" }, title, when), trouble, h("div", { class: "card wide", tabindex: "0", role: "region", "aria-label": "Nodes" }, table));
    const show = () => {
      trouble.hidden = !cluster.trouble;
      trouble.textContent = cluster.trouble;
      const found = cluster.newest;
      if (found) when.textContent = `as of ${moment(found.atMs)}`;
      const rows = (found?.nodes ?? []).map((each) => row(each, found.silentNodes));
      fill(body, rows.length ? rows : h("tr", {}, h("td", { colspan: HEADS.length, class: "empty" }, found ? "The cluster has no nodes." : "…")));
    };
    cluster.addEventListener("change", show, { signal });
    show();
  },
};

// What happened to the map, newest first.
import { cluster } from "../cluster.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";

const OUTCOMES = {
  EVENT_OUTCOME_RUNNING: ["", "running"],
  EVENT_OUTCOME_DONE: ["good", "done"],
  EVENT_OUTCOME_FAILED: ["bad", "failed"],
};
const ORIGINS = { EVENT_ORIGIN_CONTROLLER: "controller", EVENT_ORIGIN_OPERATOR: "operator", EVENT_ORIGIN_NODE: "node" };

function row(event) {
  const [level, word] = OUTCOMES[event.outcome] ?? ["", "unknown"];
  const what = event.action.replaceAll("_", " ");
  return h(
    "tr",
    {},
    h("td", { class: "number" }, moment(event.atMs)),
    h("th", { scope: "row" }, what),
    h("td", {}, event.partitionId === "0" ? "" : event.partitionId),
    h("td", {}, event.subject),
    h("td", {}, ORIGINS[event.origin] ?? ""),
    h("td", {}, h("span", { class: `pill ${level}` }, word)),
    h("td", {}, event.reason, event.error ? h("span", { class: "bad" }, ` ${event.error}`) : null),
  );
}

export const events = {
  title: "Events",
  show({ root, title, signal }) {
    const trouble = h("p", { class: "notice", hidden: true });
    const body = h("tbody");
    const heads = ["When", "What", "Partition", "Node", "By", "Outcome", "Why"];
    const table = h("table", {}, h("caption", { class: "hidden-text" }, "Events, newest first"), h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)))), body);
    fill(root, h("div", { class: "view-head" }, title), trouble, h("div", { class: "card wide", tabindex: "0", role: "region", "aria-label": "Events" }, table));
    const show = () => {
      trouble.hidden = !cluster.trouble;
      trouble.textContent = cluster.trouble;
      const found = cluster.newest?.events ?? [];
      fill(body, found.length ? found.map(row) : h("tr", {}, h("td", { colspan: heads.length, class: "empty" }, cluster.newest ? "Nothing has happened yet." : "…")));
    };
    cluster.addEventListener("change", show, { signal });
    show();
  },
};

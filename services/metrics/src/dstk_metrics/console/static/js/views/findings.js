// What the doctor finds, and what to do about each of it.
import { cluster } from "../cluster.js";
import { command, fill, h } from "../dom.js";
import { moment } from "../format.js";
import { health } from "./overview.js";

const WORDS = { error: ["bad", "Error"], warning: ["warn", "Warning"], note: ["", "Note"] };

function finding(each) {
  const [level, word] = WORDS[each.severity];
  const alerts = each.alerts.length ? h("span", { class: "muted small" }, `Alerts: ${each.alerts.join(", ")}`) : null;
  return h(
    "li",
    { class: "card finding", "data-severity": each.severity, "data-kind": each.kind },
    h("div", { class: "facts" }, h("span", { class: `pill ${level}` }, word), h("span", { class: "muted" }, each.where)),
    h("p", { class: "title" }, each.what),
    each.run ? h("div", { class: "facts" }, h("span", { class: "muted small" }, "What to do:"), command(each.run)) : null,
    alerts,
  );
}

/** Findings, of which the service sends the first of each kind, and how many more there are. */
function listed(found) {
  const sent = (kind) => found.findings.filter((each) => each.kind === kind).length;
  const more = Object.entries(found.kinds).map(([kind, number]) => [kind, number - sent(kind)]);
  const rest = more.filter(([, number]) => number).map(([kind, number]) => h("li", { class: "card facts-line" }, `${number} more of the kind ${kind}: `, command("dstk doctor --output json")));
  return [...found.findings.map(finding), ...rest];
}

export const findings = {
  title: "Findings",
  show({ root, title, signal }) {
    const when = h("p", { class: "muted small" });
    const summary = h("p", { role: "status", "aria-live": "polite" });
    const list = h("ul", { class: "findings" });
    const trouble = h("p", { class: "notice", hidden: true });
    fill(root, h("div", { class: "view-head" }, title, when), summary, trouble, list);
    let shown = "";
    const show = () => {
      trouble.hidden = !cluster.trouble;
      trouble.textContent = cluster.trouble;
      const found = cluster.newest;
      summary.textContent = health(found, cluster.trouble)[1];
      if (!found) return;
      when.textContent = `checked at ${moment(found.atMs)}`;
      const fresh = JSON.stringify(found.findings);
      if (fresh === shown) return; // buttons keep their focus
      shown = fresh;
      fill(list, found.findings.length ? listed(found) : h("li", { class: "card empty" }, `Nothing to do: all ${found.checks} checks pass.`));
    };
    cluster.addEventListener("change", show, { signal });
    show();
  },
};

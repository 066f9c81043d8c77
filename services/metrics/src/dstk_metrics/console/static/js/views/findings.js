// What the doctor finds, and what to do about each of it.
import { cluster } from "../cluster.js";
import { command, fill, h } from "../dom.js";
import { moment, plural } from "../format.js";
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
      const all = Object.values(found.kinds).reduce((sum, each) => sum + each, 0);
      const more = all > found.findings.length ? [h("li", { class: "empty" }, `and ${plural(all - found.findings.length, "finding")} more: dstk doctor shows all`)] : [];
      fill(list, found.findings.length ? found.findings.map(finding) : h("li", { class: "card empty" }, `Nothing to do: all ${found.checks} checks pass.`), more);
    };
    cluster.addEventListener("change", show, { signal });
    show();
  },
};

// Hot partitions, the rule by which they are, and why.
import { again } from "../again.js";
import { call, keyText, learnKeys, rangeText } from "../api.js";
import { command, fill, h, key } from "../dom.js";
import { count, figure, num, plural, share, span, told } from "../format.js";

const EVERY_MS = 5000;

function prefix(each) {
  const what = each.isKey ? "key" : "prefix";
  const width = h("i", {});
  width.style.width = share(each.share);
  return [key(keyText(each.prefix)), h("span", { class: "bar", "aria-hidden": "true" }, width), h("span", { class: "number" }, share(each.share), h("span", { class: "hidden-text" }, ` of its sampled operations: a ${what}`))];
}

/** A piece of advice, and below it the commands that it has in parentheses. */
function advice(text) {
  const commands = [...text.matchAll(/\((dstk [^)]+)\)/g)].map((found) => command(found[1]));
  return [h("p", {}, text), commands.length ? h("p", { class: "facts" }, commands) : null];
}

function card(each) {
  const kind = figure(each.by);
  const { stats } = each;
  const facts = [
    ["Load", told(kind, each.load)],
    ["Share of the cluster", share(each.share)],
    ["Times the mean", `${num(each.skew).toFixed(1)} ×`],
    ["Hot for", span(each.hotForS)],
    ["Node", stats.primary],
    ["Records", count(stats.records)],
  ];
  const found = each.prefixes.length
    ? [h("h3", {}, "What its operations have in common"), h("div", { class: "bars" }, each.prefixes.flatMap(prefix)), h("p", { class: "muted small" }, `from ${plural(num(each.samples), "sampled operation")}`)]
    : [h("p", { class: "muted" }, "Its operations have no prefix in common.")];
  return h(
    "li",
    { class: "card hot", "data-partition": stats.partitionId },
    h("h2", {}, `${kind.title}: partition ${stats.partitionId}`),
    key(rangeText(stats.start, stats.end)),
    h("dl", { class: "facts-grid" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    found,
    advice(each.advice),
  );
}

function rule(each) {
  const kind = figure(each.by);
  return h("tr", {}, h("th", { scope: "row" }, kind.title), h("td", { class: "number" }, told(kind, each.threshold)), h("td", { class: "number" }, told(kind, each.floor)), h("td", {}, `median of ${plural(each.reports, "report")}, ${span(each.windowS)}`));
}

export const hot = {
  title: "Hot partitions",
  show({ root, title, signal }) {
    const trouble = h("p", { class: "notice bad", role: "alert", hidden: true });
    const summary = h("p", { role: "status", "aria-live": "polite" }, "…");
    const list = h("ul", { class: "findings" });
    const rules = h("tbody");
    const heads = ["Load", "Hot from", "Never below", "Measured as"].map((each, at) => h("th", { scope: "col", class: at === 1 || at === 2 ? "number" : "" }, each));
    const table = h("table", {}, h("caption", {}, "The rules"), h("thead", {}, h("tr", {}, heads)), rules);
    fill(root, h("div", { class: "view-head" }, title), trouble, summary, list, h("div", { class: "card wide" }, table));
    let shown = "";
    const ask = async () => {
      const answer = await call("ListHotPartitions", {}, signal);
      await learnKeys(answer.partitions.flatMap((each) => [each.stats.start, each.stats.end, ...each.prefixes.map((one) => one.prefix)]));
      trouble.hidden = true;
      const found = answer.partitions.length;
      summary.textContent = found ? `${plural(found, "hot partition")}, hottest first for each kind of load.` : "No partition is hot.";
      const fresh = JSON.stringify(answer.partitions);
      if (fresh !== shown) fill(list, answer.partitions.map(card));
      shown = fresh;
      fill(rules, answer.rules.map(rule));
    };
    again(ask, EVERY_MS, signal, (error) => {
      trouble.hidden = false;
      trouble.textContent = error.message;
    });
  },
};

// The frame: navigation, the state of the connection, and the view that the address names.
import { cluster } from "./cluster.js";
import { fill, h, say } from "./dom.js";
import { time } from "./format.js";
import { live } from "./live.js";
import { startThemes } from "./theme.js";
import { events } from "./views/events.js";
import { findings } from "./views/findings.js";
import { heatmap } from "./views/heatmap.js";
import { hot } from "./views/hot.js";
import { nodes } from "./views/nodes.js";
import { overview } from "./views/overview.js";
import { partitions } from "./views/partitions.js";

const VIEWS = { overview, nodes, partitions, heatmap, hot, events, findings };
const main = document.getElementById("main");
const nav = document.getElementById("nav");
const connection = document.getElementById("connection");
let leave = () => {};
let first = true;

function drawNav() {
  fill(nav, Object.entries(VIEWS).map(([name, view]) => h("li", {}, h("a", { href: `#/${name}`, id: `nav-${name}` }, view.title))));
}

function show() {
  if (location.hash === "#main") return; // the skip link
  const [path, query] = location.hash.replace(/^#\//, "").split("?");
  const name = VIEWS[path] ? path : "overview";
  leave();
  const controller = new AbortController();
  const title = h("h1", { tabindex: "-1" }, VIEWS[name].title);
  const root = h("div", { class: "view", "data-view": name });
  fill(main, root);
  VIEWS[name].show({ root, title, signal: controller.signal, params: new URLSearchParams(query) });
  leave = () => controller.abort();
  document.title = `${VIEWS[name].title} – DSTK console`;
  for (const link of nav.querySelectorAll("a")) {
    if (link.id === `nav-${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!first) title.focus();
  first = false;
}

function showConnection() {
  const since = live.newest ? `showing data from ${time(live.newest.atMs)}` : "no data yet";
  const why = live.trouble ? ` (${live.trouble})` : "";
  const texts = { live: "Live", opening: "Connecting", paused: "Paused", lost: `Connection lost, ${since}${why}` };
  connection.dataset.state = live.state;
  say(connection, texts[live.state]);
}

function showFindings() {
  const found = cluster.newest?.severities ?? {};
  const worst = found.error ? "bad" : found.warning ? "warn" : "";
  const number = (found.error ?? 0) + (found.warning ?? 0);
  const link = document.getElementById("nav-findings");
  fill(link, "Findings", number ? h("span", { class: `pill ${worst}` }, String(number), h("span", { class: "hidden-text" }, " need attention")) : null);
}

startThemes(document.getElementById("theme"));
drawNav();
addEventListener("hashchange", show);
live.addEventListener("state", showConnection);
cluster.addEventListener("change", showFindings);
show();
showConnection();
live.start();
cluster.start();

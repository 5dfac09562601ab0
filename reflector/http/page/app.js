// The shell: which view is shown, how the reflector can be reached, and the theme.

import { h, show, empty } from "./dom.js";
import { age, clock } from "./format.js";
import { live, rows } from "./net.js";
import { overview } from "./overview.js";
import { neighbors } from "./neighbors.js";
import { neighbor } from "./neighbor.js";
import { routes } from "./routes.js";
import { explain } from "./explain.js";
import { events } from "./events.js";
import { picture } from "./picture.js";
import { history } from "./history.js";

const VIEWS = [
  ["", "Overview", overview],
  ["neighbors", "Neighbors", neighbors],
  ["routes", "Routes", routes],
  ["explain", "Explain", explain],
  ["picture", "Picture", picture],
  ["history", "History", history],
  ["events", "Events", events],
];
const HIDDEN = { neighbor: ["neighbors", "Neighbor", neighbor] };

const main = document.getElementById("main");
const list = document.getElementById("views");
let leave = null;
let shown = null;
let title = "Martlet";

// `#/routes?prefix=...` is the view "routes", what comes behind it, and its parameters.
function where() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const slash = path.indexOf("/");
  const name = slash < 0 ? path : path.slice(0, slash);
  let rest = slash < 0 ? "" : path.slice(slash + 1);
  try { rest = decodeURIComponent(rest); } catch (error) { /* as it is, then */ }
  return { name, rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

// Change the parameters in the address, without a new view.
export function keep(query) {
  // Somebody has gone elsewhere, which the view does not know yet.
  if (location.hash !== shown) return;
  const { name, rest } = where();
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value));
  const text = new URLSearchParams(given).toString();
  const tail = rest ? `/${encodeURIComponent(rest)}` : "";
  const hash = `#/${name}${tail}${text ? `?${text}` : ""}`;
  if (hash !== location.hash) window.history.replaceState(null, "", hash);
  shown = location.hash;
}

function go() {
  if (location.hash === shown) return;
  const first = shown === null;
  shown = location.hash;
  leave?.abort();
  leave = new AbortController();
  const { name, rest, query } = where();
  const found = VIEWS.find(([each]) => each === name);
  const [place, label, view] = found || HIDDEN[name] || [null, "Not found", null];
  for (const link of list.querySelectorAll("a")) {
    if (link.dataset.view === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${rest || label} · ${title}`;
  main.dataset.view = name || "overview";
  if (!view) {
    show(main, h("h1", {}, "There is nothing here"), empty("The address names no view. ", h("a", { href: "#/" }, "Go to the overview"), "."));
  } else {
    show(main);
    if (live.routes && name !== "events") live.want(null);
    view(main, { rest, query, signal: leave.signal, keep });
  }
  if (!first) { scrollTo(0, 0); main.focus({ preventScroll: true }); }
}

// --- The bar ---------------------------------------------------------------------------------------------

show(list, VIEWS.map(([name, label]) => h("li", {}, h("a", { href: `#/${name}`, "data-view": name }, label))));

const link = document.getElementById("link");
const banner = document.getElementById("banner");

function linked() {
  link.className = `link ${live.state}`;
  const words = { live: "Live", connecting: "Connecting", lost: "Not connected" };
  show(link, h("i", { "aria-hidden": "true" }), h("span", {}, words[live.state]));
  document.body.classList.toggle("stale", live.state === "lost");
  banner.hidden = live.state !== "lost";
  if (live.state === "lost") {
    show(banner, `The reflector has not answered since ${clock(live.since / 1000)}. What is shown is from before; trying again.`);
  }
}

async function introduce() {
  try {
    const [status] = await rows("status");
    title = `AS ${status.asn} · ${status.router_id}`;
    const { rest, name } = where();
    const label = (VIEWS.find(([each]) => each === name) || HIDDEN[name] || ["", ""])[1];
    document.title = `${rest || label} · ${title}`;
    show(document.getElementById("who"), h("b", {}, `AS ${status.asn}`), " ", h("span", { class: "mono" }, status.router_id));
  } catch (error) {
    // The link says that nobody answers.
  }
}

live.addEventListener("link", () => {
  linked();
  if (live.state === "live") introduce();
});
live.addEventListener("restarted", () => {
  const note = h("div", { class: "banner note", role: "status" },
    `The reflector was restarted ${age(Date.now() / 1000 - live.started)} ago; what follows is of the new process.`);
  banner.after(note);
  setTimeout(() => note.remove(), 12000);
  shown = null;
  go();
});

// --- The theme -------------------------------------------------------------------------------------------

const button = document.getElementById("theme");
const THEMES = { system: ["◐", "as the system has it"], light: ["☀", "light"], dark: ["☾", "dark"] };

function theme(next) {
  const root = document.documentElement;
  let now = root.dataset.theme || "system";
  if (next) {
    const names = Object.keys(THEMES);
    now = names[(names.indexOf(now) + 1) % names.length];
    if (now === "system") delete root.dataset.theme;
    else root.dataset.theme = now;
    try { localStorage.setItem("martlet-theme", now); } catch (error) { /* not kept, then */ }
  }
  const [sign, words] = THEMES[now];
  show(button, h("span", { "aria-hidden": "true" }, sign));
  button.setAttribute("aria-label", `Theme: ${words}. Change it`);
  button.title = `Theme: ${words}`;
}

button.addEventListener("click", () => theme(true));
theme(false);

addEventListener("hashchange", go);
linked();
live.start();
introduce();
go();

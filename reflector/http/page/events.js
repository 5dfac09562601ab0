// What happens, as it happens: sessions always, changes of routes if they are wanted.

import { h, show, cited, field, peerLink, prefixLink } from "./dom.js";
import { clock, count, moment } from "./format.js";
import { live } from "./net.js";

const MOST = 400;
const WORDS = {
  added: "was added", removed: "was removed", down: "ended a connection", "end-of-rib": "has sent its first routes",
  refresh: "refreshes routes", limit: "sends many routes", error: "sent something malformed", alarm: "needs somebody", lagged: "events were lost",
};
const SIGN = { down: "bad", error: "bad", alarm: "bad", limit: "warn", lagged: "warn" };

function words(event) {
  if (event.what === "state") return event.state === "Established" ? "is Established" : `is ${event.state}`;
  return WORDS[event.what] || event.what;
}

function sign(event) {
  if (event.what === "state") return event.state === "Established" ? "good" : "bad";
  return SIGN[event.what] || "";
}

export function line(event, full = false) {
  return h("div", { class: `event ${sign(event)}` },
    h("time", { datetime: new Date(event.time * 1000).toISOString() }, full ? moment(event.time) : clock(event.time)),
    h("span", { class: "what" }, event.peer ? peerLink(event.peer) : "The reflector", ` ${words(event)}`),
    event.text && event.what !== "end-of-rib" && h("span", { class: "text" }, cited(event.text)));
}

function change(event) {
  const path = event.path || event.previous || {};
  const signs = { added: "good", withdrawn: "bad", replaced: "warn" };
  return h("div", { class: `event ${signs[event.change] || ""}` },
    h("time", {}, clock(event.at)),
    h("span", { class: "what" }, prefixLink(event.prefix), ` ${event.change}`),
    h("span", { class: "text" }, event.change === "withdrawn" ? ["was from ", peerLink(path.peer)] : ["from ", peerLink(path.peer), `, next hop ${path.next_hop ?? "none"}; ${event.reason}`]));
}

export function events(main, { query, signal, keep }) {
  const chosen = { q: query.q || "", routes: query.routes || "", within: query.within || "" };
  let paused = false;
  let waiting = [];
  const list = h("div", { class: "events", role: "log", "aria-live": "off", "aria-label": "Events", tabindex: "0" });
  const notice = h("p", { class: "notice", role: "status" });
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Pause");
  const clear = h("button", { type: "button", class: "quiet", onclick: () => { list.replaceChildren(); say(); } }, "Clear");
  const filter = h("input", { type: "search", value: chosen.q, placeholder: "name, state, words", oninput: () => { chosen.q = filter.value.trim(); keep(chosen); sift(); } });
  const wanted = h("input", { type: "checkbox", checked: Boolean(chosen.routes), onchange: () => { chosen.routes = wanted.checked ? "1" : ""; keep(chosen); follow(); } });
  const within = h("input", { type: "text", value: chosen.within, placeholder: "10.0.0.0/8", spellcheck: "false", autocomplete: "off",
    onchange: () => { chosen.within = within.value.trim(); keep(chosen); follow(); } });
  main.append(h("div", { class: "head" }, h("h1", {}, "Events"), h("p", { class: "lead" }, "The latest ones are on top. What happened before this page was opened is there as far as the reflector remembers it.")),
    h("div", { class: "controls" }, field("Filter", filter), h("label", { class: "check" }, wanted, " changes of routes, too"), field("Routes within", within), h("div", { class: "buttons" }, pause, clear)),
    notice, list);

  function toggle() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) { for (const each of waiting) put(each); waiting = []; }
    say();
  }

  function say(more = "") {
    if (paused) show(notice, `Paused: ${count(waiting.length)} new ${waiting.length === 1 ? "event waits" : "events wait"}.`);
    else if (more) show(notice, more);
    else if (!list.firstChild) show(notice, "Nothing has happened yet that would be shown here.");
    else show(notice);
  }

  function matches(element) {
    return !chosen.q || element.textContent.toLowerCase().includes(chosen.q.toLowerCase());
  }

  function sift() {
    for (const each of list.children) each.hidden = !matches(each);
  }

  function put(element) {
    element.hidden = !matches(element);
    list.prepend(element);
    while (list.childElementCount > MOST) list.lastChild.remove();
  }

  function take(element) {
    if (paused) {
      waiting.push(element);
      if (waiting.length > MOST) waiting.shift();
    } else {
      put(element);
    }
    say();
  }

  function follow() {
    live.want(chosen.routes ? (chosen.within ? { within: chosen.within } : {}) : null);
    within.closest(".field").hidden = !chosen.routes;
  }

  for (const event of live.peers) put(line(event, true));
  live.addEventListener("peer", ({ detail }) => take(line(detail, true)), { signal });
  live.addEventListener("route", ({ detail }) => take(change({ ...detail, at: Date.now() / 1000 })), { signal });
  live.addEventListener("passed", ({ detail }) => say(`Routes change faster than they are shown: about ${count(detail.count)} more just now.`), { signal });
  live.addEventListener("lost", ({ detail }) => say(`${count(detail.count)} events of sessions went by unseen.`), { signal });
  signal.addEventListener("abort", () => live.want(null));
  follow();
  say();
}


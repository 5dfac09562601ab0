// How it is: what is up, what is down first and why, how fast routes come and go.

import { h, show, card, state, cited, empty, failure, peerLink } from "./dom.js";
import { age, count, octets, plural, seconds, short } from "./format.js";
import { get, live, roll, rows } from "./net.js";
import { spark } from "./chart.js";
import { line } from "./events.js";

const ORDER = ["Established", "OpenConfirm", "OpenSent", "Active", "Connect", "Idle", "disabled"];
const SLUG = { Established: "up", OpenConfirm: "rising", OpenSent: "rising", Active: "trying", Connect: "trying", Idle: "idle", disabled: "off" };
const DOWN = 8;
const POINTS = 120;

export function overview(main, { signal }) {
  const headline = h("h1", {}, "…");
  const lead = h("p", { class: "lead" });
  const bar = h("div", { class: "states" });
  const tiles = h("div", { class: "tiles" });
  const down = card("Down");
  const busy = card("Busiest neighbors");
  const recent = card("Latest events");
  main.append(h("div", { class: "head" }, headline, lead), bar, tiles, h("div", { class: "columns" }, down, h("div", {}, busy, recent)));

  let past = null;
  let status = null;

  async function ask() {
    if (document.hidden) return;
    try {
      [[status], past] = await Promise.all([rows("status", {}, signal), get("history", {}, signal)]);
      told();
      measured();
      active();
    } catch (error) {
      if (!signal.aborted && !status) show(lead, failure(error));
    }
  }

  function told() {
    const converged = past.converged.is
      ? `first routes of all neighbors were there ${past.converged.after === null ? "" : `${seconds(past.converged.after)} `}after the start`
      : "still waiting for the first routes of all neighbors";
    show(lead, `Up for ${age(status.uptime)}, version ${status.version}; ${converged}. `,
      plural(status.groups, "update group"), ", listening on ", h("span", { class: "mono" }, status.listening.join(", ") || "nothing"), ".");
  }

  function neighbors(all) {
    const found = {};
    for (const row of all) {
      const name = row.running ? row.state : "disabled";
      found[name] = (found[name] || 0) + 1;
    }
    const up = found.Established || 0;
    const missing = all.length - up;
    show(headline, all.length === 0 ? "No neighbors yet" : missing === 0 ? `All ${all.length === 1 ? "sessions are" : `${count(all.length)} sessions are`} up`
      : `${count(missing)} of ${plural(all.length, "session")} ${missing === 1 ? "is" : "are"} down`);
    headline.className = all.length === 0 ? "" : missing === 0 ? "good" : "bad";
    const used = ORDER.filter((name) => found[name]);
    const stripe = h("div", { class: "stripe", "aria-hidden": "true" }, used.map((name) => h("span", { class: SLUG[name], css: { "flex-grow": found[name] } })));
    show(bar, stripe, h("ul", { class: "legend" }, used.map((name) =>
      h("li", {}, h("a", { href: `#/neighbors?state=${name}` }, state(name === "disabled" ? "Idle" : name, name !== "disabled"), h("b", {}, count(found[name])))))));
    const list = all.filter((row) => row.state !== "Established")
      .sort((a, b) => (b.running - a.running) || ((b.times > 0) - (a.times > 0)) || b.since - a.since);
    const rest = list.length - DOWN;
    show(down, h("h2", {}, "Down"), list.length === 0 ? empty(all.length ? "Every neighbor has its session." : "Nobody is configured, or has connected, yet.")
      : h("ol", { class: "list" }, list.slice(0, DOWN).map((row) => h("li", {},
        h("div", { class: "row" }, peerLink(row.name), state(row.state, row.running), h("span", { class: "when" }, `for ${age(Date.now() / 1000 - row.since)}`)),
        h("p", { class: "why" }, row.error ? cited(row.error) : row.running ? "No connection has been tried or made yet." : "Disabled by the operator.")))),
      rest > 0 && h("p", { class: "more" }, h("a", { href: "#/neighbors?down=1" }, `${count(rest)} more`)));
  }

  function measured() {
    if (!past || !status) return;
    const columns = past.columns;
    const last = (name) => columns[name].slice(-POINTS);
    const rate = (name) => last(name).map((value, index) => value / last("seconds")[index]);
    const now = (values) => values[values.length - 1];
    const tile = (name, value, more, values, words) => h("div", { class: "tile" },
      h("span", { class: "name" }, name), h("span", { class: "value" }, value), h("span", { class: "sub" }, more), values && spark(values, words));
    const inwards = rate("updates_in");
    const outwards = rate("updates_out");
    const families = Object.entries(status.prefixes).map(([name, number]) => `${short(number)} ${name.replace("-unicast", "")}`).join(", ");
    show(tiles,
      tile("Routes", short(status.routes), families, last("routes"), "routes"),
      tile("UPDATEs in", `${short(now(inwards) ?? 0)}/s`, `at most ${short(Math.max(0, ...inwards))}/s lately`, inwards, "UPDATEs a second received"),
      tile("UPDATEs out", `${short(now(outwards) ?? 0)}/s`, `at most ${short(Math.max(0, ...outwards))}/s lately`, outwards, "UPDATEs a second sent"),
      tile("Slowest neighbor", now(last("lag")) ? `${seconds(now(last("lag")))} behind` : "in step", `${octets(now(last("queue")) || 0)} not taken`, last("lag"), "seconds behind"),
      tile("Loop lag", seconds(now(last("loop_lag")) || 0), `99 % within ${seconds(status.lag?.p99 || 0)}`, last("loop_lag"), "seconds late"),
      tile("Memory", octets(status.memory), "resident", last("memory"), "octets"));
  }

  function active() {
    const found = past.busy.filter(([, rate]) => rate >= 0.05);
    show(busy, h("h2", {}, "Busiest neighbors"), found.length === 0 ? empty("No UPDATEs come in just now.")
      : h("ul", { class: "list flat" }, found.map(([name, rate]) => h("li", { class: "row" }, peerLink(name), h("span", { class: "when" }, `${short(rate)} UPDATEs/s`)))));
  }

  function latest() {
    const found = live.peers.slice(-6).reverse();
    show(recent, h("h2", {}, "Latest events"), found.length === 0 ? empty("Nothing has happened since the reflector started.")
      : h("ul", { class: "list flat" }, found.map((event) => h("li", {}, line(event)))),
      h("p", { class: "more" }, h("a", { href: "#/events" }, "All events")));
  }

  roll.follow((found, error) => (error ? found.rows || show(headline, "The neighbors cannot be shown") : neighbors(found.rows)), signal);
  live.addEventListener("peer", latest, { signal });
  live.addEventListener("sample", ({ detail }) => {
    if (!past) return;
    for (const [name, values] of Object.entries(past.columns)) { values.push(detail[name]); if (values.length > 900) values.shift(); }
    if (status) { status.routes = detail.routes; status.memory = detail.memory; }
    measured();
  }, { signal });
  const timer = setInterval(ask, 10000);
  signal.addEventListener("abort", () => clearInterval(timer));
  latest();
  ask();
}


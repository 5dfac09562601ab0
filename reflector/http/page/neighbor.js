// All about a neighbor: what was agreed, what was counted, what went wrong, and its routes.

import { h, show, card, facts, state, cited, empty, failure } from "./dom.js";
import { age, count, flat, moment, octets } from "./format.js";
import { live, rows } from "./net.js";
import { paths } from "./paths.js";

const TABS = [["received", "Received"], ["advertised", "Told"], ["refused", "Refused"]];

const yes = (value) => (value ? "yes" : "no");

export function neighbor(main, { rest: name, query, signal, keep }) {
  const head = h("div", { class: "head" }, h("h1", {}, name));
  const body = h("div", { class: "cards" });
  const list = h("div", { role: "tabpanel", id: "routes-of", "aria-labelledby": "tab-received" });
  let tab = TABS.some(([each]) => each === query.tab) ? query.tab : "received";
  let last = "";
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Routes" }, TABS.map(([each, label]) =>
    h("button", { type: "button", role: "tab", id: `tab-${each}`, "aria-controls": "routes-of", onclick: () => choose(each), onkeydown: turn }, label)));
  const logged = card("From the log");
  main.append(h("p", { class: "crumb" }, h("a", { href: "#/neighbors" }, "Neighbors")), head, body, h("section", { class: "card" }, h("h2", {}, "Routes"), tabs, list), logged);

  function turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([each]) => each === tab);
    choose(TABS[(at + step + TABS.length) % TABS.length][0]);
    tabs.querySelector("[aria-selected=true]").focus();
  }

  function choose(next) {
    tab = next;
    keep({ tab: tab === "received" ? "" : tab });
    for (const each of tabs.children) {
      const on = each.id === `tab-${tab}`;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
    }
    list.setAttribute("aria-labelledby", `tab-${tab}`);
    const asked = tab === "advertised" ? { advertised: name } : tab === "refused" ? { received: name, refused: "1" } : { received: name };
    const none = { received: "It has sent no routes.", advertised: "It is told no routes.", refused: "Nothing that it sent was refused." };
    paths(list, asked, { signal, none: none[tab] });
  }

  async function ask() {
    if (document.hidden) return;
    try {
      const [row] = await rows("neighbor", { peer: name }, signal);
      told(row);
    } catch (error) {
      if (signal.aborted) return;
      show(head, h("h1", {}, name));
      show(body, card(null, failure(error)));
    }
  }

  function told(row) {
    const now = Date.now() / 1000;
    show(head, h("h1", {}, row.name, " ", state(row.state, row.running)), h("p", { class: "lead" },
      row.description && `${row.description}. `, `AS ${row.asn}, ${row.kind || "no session yet"}, ${row.address}; ${row.state} for ${age(now - row.since)}`, row.dynamic && ", from a listen range", "."));
    const families = row.session ? row.session.families : [];
    const agreed = row.session;
    show(body,
      row.last_error && card("Last error", h("p", { class: "error-text" }, cited(row.last_error)), row.last_error_at && h("p", { class: "quiet" }, `${moment(row.last_error_at)}, ${age(now - row.last_error_at)} ago`)),
      agreed ? card("What was agreed", facts([
        ["Families", families.join(", ")],
        ["AS, theirs and ours", `${agreed.remote_as} and ${agreed.local_as}`],
        ["Identifier, theirs and ours", h("span", { class: "mono" }, `${agreed.remote_identifier} and ${agreed.local_identifier}`)],
        ["Hold time", agreed.hold_time ? `${agreed.hold_time} s, keepalives each ${Math.round(agreed.keepalive_time)} s` : "none"],
        ["ADD-PATH", flat(agreed.add_path) || "no"],
        ["IPv6 next hops for IPv4", agreed.extended_next_hop.join(", ") || "no"],
        ["Route refresh", agreed.enhanced_route_refresh ? "enhanced (RFC 7313)" : yes(agreed.route_refresh)],
        ["Four-octet AS numbers", yes(agreed.four_octet_as)],
        ["Longest message", `${count(agreed.maximum_message.receive)} in, ${count(agreed.maximum_message.send)} out`],
        ["Role", agreed.role],
        ["Host name", agreed.host_name],
        ["Signed", row.signed],
      ])) : card("What was agreed", empty("There is no session.")),
      card("Routes", families.length ? h("table", { class: "rows small" }, h("thead", {}, h("tr", {}, ["", "Received", "Refused", "Told"].map((each, index) => h("th", { scope: "col", class: index ? "number" : "" }, each)))),
        h("tbody", {}, families.map((family) => h("tr", {}, h("th", { scope: "row" }, family.replace("-unicast", "")),
          h("td", { class: "number", "data-label": "Received" }, count(row.received[family]), row.maximum_prefixes[family] && h("small", {}, ` of ${count(row.maximum_prefixes[family])}`)),
          h("td", { class: "number", "data-label": "Refused" }, count(row.refused[family])),
          h("td", { class: "number", "data-label": "Told" }, count(row.advertised[family])))))) : empty("None without a session."),
        agreed && h("p", { class: "quiet" }, row.end_of_rib.length ? `End-of-RIB came for ${row.end_of_rib.join(", ")}.` : "End-of-RIB has not come yet.", row.behind && " It is slow: it is told the latest state only.")),
      card("Messages", h("table", { class: "rows small" }, h("thead", {}, h("tr", {}, ["", "In", "Out"].map((each, index) => h("th", { scope: "col", class: index ? "number" : "" }, each)))),
        h("tbody", {}, Object.entries(row.messages).map(([type, counts]) => h("tr", {}, h("th", { scope: "row" }, type.replace("_", "-").toUpperCase()),
          h("td", { class: "number", "data-label": "In" }, count(counts.received)), h("td", { class: "number", "data-label": "Out" }, count(counts.sent)))))),
        facts([["Octets", `${octets(row.octets.received)} in, ${octets(row.octets.sent)} out`], ["Not taken yet", octets(row.queue)]])),
      card("Connection", facts([
        ["Sessions so far", count(row.times_established)],
        ["Passive", yes(row.passive)],
        ...row.connections.map((link, index) => [row.connections.length > 1 ? `Connection ${index + 1}` : "Now", h("span", {}, `${link.state}, ${link.incoming ? "they dialed" : "we dialed"}`, h("br"), h("span", { class: "mono" }, `${link.local || "–"} ⇄ ${link.remote || "–"}`))]),
        ["Internal errors", row.crashes || null],
      ])));
    const here = `${row.state} ${row.times_established}`;
    if (last && last !== here) choose(tab);
    last = here;
  }

  async function lines() {
    try {
      const found = await rows("log", { peer: name, limit: 30 }, signal);
      show(logged, h("h2", {}, "From the log"), found.length ? h("ol", { class: "log" }, found.reverse().map((each) =>
        h("li", { class: each.level }, h("time", {}, moment(each.time)), " ", cited(each.text)))) : empty("The log says nothing of it."));
    } catch (error) {
      if (!signal.aborted) show(logged, h("h2", {}, "From the log"), failure(error));
    }
  }

  let soon = 0;
  live.addEventListener("peer", ({ detail }) => {
    if (detail.peer !== name || soon) return;
    soon = setTimeout(() => { soon = 0; ask(); lines(); }, 400);
  }, { signal });
  const timer = setInterval(ask, 5000);
  signal.addEventListener("abort", () => { clearInterval(timer); clearTimeout(soon); });
  choose(tab);
  ask();
  lines();
}


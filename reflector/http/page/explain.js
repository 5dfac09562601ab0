// Why a route is as it is: the ladder of the decision, what import made of each path, and whom it is told.

import { h, show, card, facts, cited, empty, failure, field, peerLink } from "./dom.js";
import { count, flat, plural } from "./format.js";
import { get, live } from "./net.js";
import { names } from "./routes.js";
import { way } from "./way.js";

const MOST = 24;

// What a rung looks at, of a path as it is shown.
const LOOKED = {
  usable: (path) => (path.usable ? "yes" : "no"),
  stale: (path) => (path.stale ? "stale" : "no"),
  "local-pref": (path) => path.local_pref ?? 100,
  aigp: (path) => (path.aigp === undefined ? "–" : flat(path.aigp)),
  "as-path-length": (path) => length(path.as_path),
  origin: (path) => path.origin,
  med: (path) => path.multi_exit_disc ?? "none",
  external: (path) => (["external", "route-server-client"].includes(path.kind) ? "external" : path.kind === "local" ? "local" : "internal"),
  identifier: (path) => path.originator_id || null,
  "cluster-list": (path) => (path.cluster_list || []).length,
  "path-id": (path) => path.path_id,
};

// A set counts as one AS, and members of a confederation for nothing (RFC 4271 9.1.2.2 a, RFC 5065 5.3).
function length(path) {
  if (!path || typeof path !== "string") return Array.isArray(path) ? path.length : 0;
  return path.replace(/\([^)]*\)|\[[^\]]*\]/g, " ").replace(/\{[^}]*\}/g, "set").split(/\s+/).filter(Boolean).length;
}

function letter(index) {
  return index < 26 ? String.fromCharCode(65 + index) : `${letter(Math.floor(index / 26) - 1)}${letter(index % 26)}`;
}

function ladder(found) {
  const shown = found.paths.slice(0, MOST);
  const lost = shown.map((path) => (path.best ? Infinity : path.lost ? path.lost.number : 0));
  // Below the last rung where a path was lost nothing was asked any more.
  const deciding = Math.max(...lost.filter(Number.isFinite), 0);
  const table = h("table", { class: "ladder" },
    h("caption", {}, shown.length < 2 ? "There is one path, so nothing had to be decided." : "From top to bottom: a path that lacks what a rung asks for ends there."),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Rung"), shown.map((path, index) =>
      h("th", { scope: "col", class: path.best ? "best" : "", title: path.peer || "ourselves" }, h("b", {}, letter(index)), h("span", {}, path.peer || "ourselves"))))),
    h("tbody", {}, found.ladder.map((rung) => {
      const asked = shown.length > 1 ? rung.number <= deciding : rung.number === 1;
      return h("tr", { class: `${asked ? "" : "unasked"} ${lost.includes(rung.number) ? "decides" : ""}` },
        h("th", { scope: "row" }, h("b", {}, rung.rung), h("small", {}, rung.text, " ", h("span", { class: "rfc" }, rung.section))),
        shown.map((path, index) => {
          const gone = lost[index] < rung.number;
          const here = lost[index] === rung.number;
          const value = LOOKED[rung.rung]?.(path);
          if (gone) return h("td", { class: "gone" }, h("span", { class: "hidden" }, "lost before"));
          return h("td", { class: here ? "lost" : asked ? "pass" : "rest" }, asked && value !== null && value !== undefined && h("span", { class: "value" }, String(value)),
            asked && h("i", { class: "dot", role: "img", "aria-label": here ? "lost here" : "goes on" }, here ? "✕" : ""));
        }));
    }), h("tr", { class: "end" }, h("th", { scope: "row" }, "Outcome"), shown.map((path) =>
      h("td", { class: path.best ? "won" : "gone" }, path.best ? h("span", { class: "badge good" }, "best") : h("span", { class: "hidden" }, "not chosen"))))));
  return [h("div", { class: "wide" }, table), found.paths.length > MOST && h("p", { class: "quiet" }, `${count(found.paths.length - MOST)} more paths are not drawn; all of them are below.`)];
}

function attributes(path) {
  return facts([
    ["Next hop", h("span", { class: "mono" }, path.next_hop || "–")],
    ["AS path", h("span", { class: "mono" }, flat(path.as_path) || "empty")],
    ["LOCAL_PREF", path.local_pref],
    ["MED", path.multi_exit_disc],
    ["Origin", path.origin],
    ["Communities", flat([path.communities, path.large_communities, path.extended_communities].filter(Boolean))],
    ["ORIGINATOR_ID", path.originator_id && h("span", { class: "mono" }, path.originator_id)],
    ["CLUSTER_LIST", path.cluster_list && h("span", { class: "mono" }, flat(path.cluster_list))],
    ["Path identifier", path.path_id],
  ]);
}

function considered(path, index) {
  const said = path.import;
  return h("section", { class: `path ${path.best ? "best" : path.usable ? "" : "refused"}` },
    h("h3", {}, h("b", { class: "letter" }, letter(index)), peerLink(path.peer), h("small", {}, path.kind === "local" ? "" : `${path.kind}, AS ${path.peer_as}`), path.stale && h("span", { class: "badge warn" }, "stale")),
    h("p", { class: "verdict" }, cited(path.verdict)),
    attributes(path),
    said && h("p", { class: `rule ${said.accepted ? "" : "bad"}` }, h("b", {}, "Import: "), said.text),
    said && said.changes.length > 0 && h("ul", { class: "changes" }, said.changes.map((each) => h("li", {}, h("b", {}, each.attribute), ` ${each.before ?? "none"} → ${each.after ?? "none"}`))));
}

function towards(found) {
  const to = found.to;
  return card(null, h("h2", {}, "Towards ", peerLink(to.peer)),
    to.told.length === 0 && empty("There is no path to tell."),
    to.told.map((one) => h("section", { class: `path ${one.told ? "best" : ""}` },
      h("h3", {}, h("span", { class: `badge ${one.told ? "good" : ""}` }, one.told ? "told" : "not told"), h("small", {}, "the path from "), peerLink(one.peer)),
      h("p", { class: "verdict" }, cited(one.text)),
      one.export && h("p", { class: `rule ${one.export.accepted ? "" : "bad"}` }, h("b", {}, "Export: "), one.export.text),
      one.attributes && [attributes({ ...one.attributes, path_id: one.path_id }), h("details", {}, h("summary", {}, `The UPDATE of ${plural(one.message.length / 2, "octet")}`), h("code", { class: "hex" }, one.message.match(/../g).join(" ")))])),
    to.pending && h("p", { class: "quiet" }, "It has not taken all that it is to be told yet."));
}

function audience(flow) {
  const groups = flow.groups.map((group) => {
    const told = group.paths.filter((path) => path.told);
    const reason = group.paths.find((path) => !path.told && path.rule !== "not-selected") || group.paths.find((path) => !path.told);
    const own = flow.paths.filter((path) => path.best).length;
    return h("li", {}, h("div", { class: "row" }, h("span", { class: `badge ${told.length ? "good" : ""}` }, told.length ? "told" : "not told"),
      h("a", { href: `#/neighbors?group=${group.group}` }, plural(group.members, group.kind.replaceAll("-", " "))), told.length > 1 && h("span", { class: "when" }, plural(told.length, "path"))),
      h("p", { class: "why" }, cited(told.length ? told[0].text : reason ? reason.text.replace(/^not told: /, "") : "there is nothing to tell"), own === 0 && " There is no best path."));
  });
  const senders = Object.entries(flow.senders).filter(([, paths]) => !paths.some((path) => path.told));
  return [groups.length ? h("ul", { class: "list" }, groups) : empty("Nobody has a session for this family."),
    senders.length > 0 && h("p", { class: "why" }, "Not told: ", senders.slice(0, 5).map(([name], index) => [index ? ", " : "", peerLink(name)]), senders.length > 5 && ` and ${senders.length - 5} more`, ". ",
      cited(senders[0][1].find((path) => path.peer === senders[0][0])?.text.replace(/^not told: /, "") || ""))];
}

export function explain(main, { query, signal, keep }) {
  const input = (name, placeholder, list) => h("input", { type: "text", name, value: query[name] || "", placeholder, list, spellcheck: "false", autocomplete: "off", autocapitalize: "off" });
  const [prefix, to] = [input("prefix", "10.1.0.0/16"), input("to", "a neighbor", "towards")];
  const body = h("div", { class: "explained", "aria-live": "polite" });
  main.append(h("div", { class: "head" }, h("h1", {}, "Explain"), h("p", { class: "lead" }, "Why a path is the best one, at which rung the others were lost, and who is told.")),
    h("form", { class: "controls search", onsubmit: (event) => { event.preventDefault(); ask(); } }, field("Prefix or address", prefix), field("Told to", to), h("div", { class: "buttons" }, h("button", { type: "submit", class: "main" }, "Explain"))),
    names("towards", signal), body);
  let asking = null;

  async function ask(quietly = false) {
    const asked = { prefix: prefix.value.trim(), to: to.value.trim() };
    keep(asked);
    if (!asked.prefix) { show(body, empty("Enter a prefix, or choose one among the ", h("a", { href: "#/routes" }, "routes"), ".")); return; }
    asking?.abort();
    asking = new AbortController();
    const either = AbortSignal.any([signal, asking.signal]);
    if (!quietly) show(body, empty("Looking…"));
    try {
      // The way of a prefix is known by its longest match, too; then that is explained.
      const flow = await get("flow", { prefix: asked.prefix }, either);
      const [found] = (await get("show/explain", { prefix: flow.prefix, to: asked.to }, either)).rows;
      const best = found.paths.find((path) => path.best);
      document.title = document.title.replace(/^[^·]*/, `${found.prefix} `);
      show(body,
        h("p", { class: "answer" }, h("b", { class: "mono" }, found.prefix), flow.prefix !== asked.prefix && !asked.prefix.startsWith(flow.prefix) && h("span", {}, ", the longest match"), best ? [" goes by ", peerLink(best.peer), ": "] : " has no usable path: ",
          plural(found.paths.length, "path"), ", ", h("a", { href: `#/picture?prefix=${encodeURIComponent(found.prefix)}` }, "seen in the picture"), "."),
        card("How it was decided", ladder(found)),
        h("div", { class: "columns" }, card("The paths", found.paths.slice(0, 100).map(considered)), h("div", {}, asked.to && towards(found), card("The way it goes", way(flow)), card("Whom it is told", audience(flow)))));
    } catch (error) {
      if (!either.aborted) show(body, failure(error));
    }
  }

  live.addEventListener("restarted", () => ask(true), { signal });
  ask();
}

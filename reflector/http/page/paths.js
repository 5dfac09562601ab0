// A table of paths in pages, as several views show them.

import { h, show, cited, empty, failure, peerLink, prefixLink } from "./dom.js";
import { count, flat } from "./format.js";
import { get } from "./net.js";

const PAGE = 50;

function mark(row) {
  if (row.best === undefined) return h("span", { class: "badge" }, "told");
  if (!row.usable) return h("span", { class: "badge bad" }, "refused");
  return row.best ? h("span", { class: "badge good" }, "best") : h("span", { class: "badge" }, "path");
}

function communities(row) {
  const found = [...(row.communities || []), ...(row.large_communities || []), ...(row.extended_communities || [])];
  return found.length ? h("span", { class: "tags" }, found.slice(0, 8).map((each) => h("span", { class: "tag" }, flat(each))), found.length > 8 && h("span", { class: "tag" }, `+${found.length - 8}`)) : null;
}

function line(row) {
  const from = row.peer === undefined ? null : peerLink(row.peer);
  return h("tr", { class: row.usable === false ? "refused" : "" },
    h("td", { "data-label": "Prefix" }, prefixLink(row.prefix), " ", mark(row), row.stale && h("span", { class: "badge warn" }, "stale")),
    h("td", { "data-label": "From" }, from, row.path_id !== null && row.path_id !== undefined && h("small", {}, ` path ${row.path_id}`)),
    h("td", { "data-label": "Next hop", class: "mono" }, row.next_hop || "–"),
    h("td", { "data-label": "AS path", class: "mono" }, flat(row.as_path) || h("span", { class: "quiet" }, "internal")),
    h("td", { "data-label": "Pref", class: "number" }, row.local_pref ?? "–"),
    h("td", { "data-label": "MED", class: "number" }, row.multi_exit_disc ?? "–"),
    h("td", { "data-label": "Origin" }, row.origin || "–"),
    h("td", { "data-label": "Communities" }, communities(row) || h("span", { class: "quiet" }, "–"), row.refused && h("small", { class: "why" }, cited(`${row.refused.text} (${row.refused.section})`))));
}

// Ask for routes and show them, a page at a time; `moved` hears how many are passed over.
export function paths(place, query, { signal, skip = 0, moved = () => {}, none = "There is no such route." }) {
  let asking = null;
  async function page(from) {
    asking?.abort();
    asking = new AbortController();
    const either = AbortSignal.any([signal, asking.signal]);
    place.setAttribute("aria-busy", "true");
    try {
      const found = await get("show/routes", { ...query, rows: PAGE, skip: from }, either);
      const last = from + found.count;
      const next = found.next !== undefined;
      moved(from);
      if (!found.count && !from) { show(place, empty(none)); return; }
      show(place,
        h("div", { class: "pager" }, h("span", { role: "status" }, next || from ? `Rows ${count(from + 1)} to ${count(last)}${next ? ", and there are more" : ", the last ones"}` : `${count(last)} ${last === 1 ? "row" : "rows"}`),
          h("span", { class: "buttons" }, h("button", { type: "button", disabled: from === 0, onclick: () => page(Math.max(0, from - PAGE)) }, "Earlier"), h("button", { type: "button", disabled: !next, onclick: () => page(found.next) }, "More"))),
        h("div", { class: "wide" }, h("table", { class: "rows" }, h("thead", {}, h("tr", {}, ["Prefix", "From", "Next hop", "AS path", "Pref", "MED", "Origin", "Communities"].map((label) =>
          h("th", { scope: "col", class: label === "Pref" || label === "MED" ? "number" : "" }, label)))), h("tbody", {}, found.rows.map(line)))),
        found.error && failure(new Error(found.error)));
    } catch (error) {
      if (!either.aborted) show(place, failure(error));
    } finally {
      place.removeAttribute("aria-busy");
    }
  }
  show(place, h("p", { class: "empty" }, "Looking…"));
  return page(skip);
}

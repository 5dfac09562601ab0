// Search the routes: by prefix or address, by community, by who sent them or who is told them.

import { h, show, field } from "./dom.js";
import { roll } from "./net.js";
import { paths } from "./paths.js";

const SUGGESTED = 200;

export function names(id, signal) {
  const list = h("datalist", { id });
  roll.follow(({ rows }) => rows && list.childElementCount !== Math.min(rows.length, SUGGESTED) && show(list, rows.slice(0, SUGGESTED).map((row) => h("option", { value: row.name }))), signal);
  return list;
}

export function routes(main, { query, signal, keep }) {
  const text = (name, placeholder, list) => h("input", { type: "text", name, value: query[name] || "", placeholder, list, spellcheck: "false", autocomplete: "off", autocapitalize: "off" });
  const box = (name, label) => h("label", { class: "check" }, h("input", { type: "checkbox", name, checked: Boolean(query[name]) }), ` ${label}`);
  const found = h("section", { class: "card results", "aria-label": "Routes" });
  const form = h("form", { class: "controls search", role: "search", onsubmit: (event) => { event.preventDefault(); look(0); } },
    field("Prefix or address", text("prefix", "10.1.2.3 or 10.0.0.0/8")), field("Community", text("community", "64512:100 or no-export")),
    field("Received from", text("received", "a neighbor", "names")), field("Told to", text("advertised", "a neighbor", "names")),
    h("label", { class: "field" }, h("span", {}, "Family"), h("select", { name: "family" }, [["", "both"], ["ipv4", "IPv4"], ["ipv6", "IPv6"]].map(([value, label]) => h("option", { value, selected: query.family === value }, label)))),
    h("div", { class: "checks" }, box("longer", "more specific ones, too"), box("best", "best only"), box("refused", "refused only")),
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "main" }, "Search"), h("button", { type: "button", class: "quiet", onclick: clear }, "Clear")));
  main.append(h("div", { class: "head" }, h("h1", {}, "Routes"), h("p", { class: "lead" }, "An address, or a prefix that is not there, finds its longest match. A prefix in the answer leads to why it is as it is.")), form, names("names", signal), found);

  function clear() {
    for (const each of form.elements) { if (each.type === "checkbox") each.checked = false; else if (each.name) each.value = ""; }
    look(0);
  }

  function look(skip) {
    const asked = {};
    for (const each of form.elements) {
      if (each.type === "checkbox") { if (each.checked) asked[each.name] = "1"; } else if (each.name && each.value.trim()) asked[each.name] = each.value.trim();
    }
    keep({ ...asked, skip: skip || "" });
    paths(found, asked, { signal, skip, moved: (from) => keep({ ...asked, skip: from || "" }),
      none: Object.keys(asked).length ? "No route is like that." : "There are no routes yet: none was received, and none is originated." });
  }

  look(Number(query.skip) || 0);
}

// The neighbors: thousands of rows, of which only those in view are elements.

import { h, show, state, cited, empty, failure, field } from "./dom.js";
import { age, count, plural, short } from "./format.js";
import { roll } from "./net.js";

const COLUMNS = [
  ["name", "Neighbor", "text"],
  ["state", "State", "text"],
  ["since", "For", "time"],
  ["asn", "AS", "number"],
  ["kind", "Kind", "text"],
  ["received", "Received", "number"],
  ["told", "Told", "number"],
  ["updates_in", "In", "number"],
  ["updates_out", "Out", "number"],
  ["error", "Last error", "text"],
];
const STATES = ["Established", "OpenConfirm", "OpenSent", "Active", "Connect", "Idle", "disabled"];
const SPARE = 6;

// Names with numbers in the order in which people count: node2 before node10.
const order = new Intl.Collator("en", { numeric: true });

export function neighbors(main, { query, signal, keep }) {
  const chosen = { q: query.q || "", state: query.state || "", down: query.down || "", group: query.group || "", sort: query.sort || "name", desc: query.desc || "" };
  let all = null;
  let found = [];
  let active = 0;
  let height = 44;

  const input = h("input", { type: "search", value: chosen.q, placeholder: "name, address, AS, kind, words of an error", oninput: () => set({ q: input.value.trim() }) });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "States" });
  const said = h("p", { class: "notice", role: "status" });
  const head = h("div", { class: "tr th", role: "row" }, COLUMNS.map(([name, label, kind]) => {
    const cell = h("div", { role: "columnheader", class: `td ${name} ${kind}`, "data-sort": name }, h("button", { type: "button", onclick: () => sort(name) }, label, h("i", { "aria-hidden": "true" })));
    return cell;
  }));
  const space = h("div", { class: "space", role: "rowgroup" });
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Neighbors; up and down choose one, Enter opens it" }, space);
  const table = h("div", { class: "vtable", role: "table", "aria-label": "Neighbors" }, h("div", { role: "rowgroup", class: "thead" }, head), scroll);
  main.append(h("div", { class: "head" }, h("h1", {}, "Neighbors"), h("p", { class: "lead" }, "Received and told are routes; in and out are UPDATEs.")),
    h("div", { class: "controls" }, field("Filter", input), chips), said, table);

  function set(some) {
    Object.assign(chosen, some);
    keep({ ...chosen, sort: chosen.sort === "name" ? "" : chosen.sort });
    active = 0;
    scroll.scrollTop = 0;
    sift();
  }

  function sort(name) {
    const same = chosen.sort === name;
    // What is much, or late, first; what is text from A on.
    const down = COLUMNS.find(([each]) => each === name)[2] !== "text";
    set({ sort: name, desc: same ? (chosen.desc ? "" : "1") : down ? "1" : "" });
  }

  function sift() {
    if (!all) return;
    const words = chosen.q.toLowerCase().split(/\s+/).filter(Boolean);
    const counts = {};
    const text = (row) => `${row.name} ${row.description || ""} ${row.address} as${row.asn} ${row.asn} ${row.kind || ""} ${row.state} ${row.error || ""}`.toLowerCase();
    found = all.filter((row) => {
      if (chosen.group && String(row.group) !== chosen.group) return false;
      if (words.length && !words.every((word) => text(row).includes(word))) return false;
      const label = row.running ? row.state : "disabled";
      counts[label] = (counts[label] || 0) + 1;
      return chosen.down ? row.state !== "Established" : !chosen.state || label === chosen.state;
    });
    const way = chosen.desc ? -1 : 1;
    const by = chosen.sort;
    found.sort((a, b) => {
      const [x, y] = [a[by], b[by]];
      const none = (value) => value === null || value === undefined || value === "";
      if (none(x) || none(y)) return none(x) - none(y) || order.compare(a.name, b.name);
      // "For" is how long: the latest change is the shortest time.
      const sign = by === "since" ? -way : way;
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : order.compare(x, y)) || order.compare(a.name, b.name);
    });
    const total = Object.values(counts).reduce((a, b) => a + b, 0);
    const chip = (label, number, on, some, name = "") => h("button", { type: "button", class: `chip ${on ? "on" : ""}`, "aria-pressed": String(on), "data-state": name, onclick: () => set(some) },
      name ? state(name === "disabled" ? "Idle" : name, name !== "disabled") : label, h("b", {}, count(number)));
    const focus = document.activeElement?.dataset?.state;
    show(chips, chip("All", total, !chosen.state && !chosen.down, { state: "", down: "" }),
      chip("Down", total - (counts.Established || 0), Boolean(chosen.down), { down: chosen.down ? "" : "1", state: "" }),
      STATES.filter((name) => counts[name] || chosen.state === name).map((name) => chip(name, counts[name] || 0, chosen.state === name, { state: chosen.state === name ? "" : name, down: "" }, name)),
      chosen.group && h("button", { type: "button", class: "chip on", onclick: () => set({ group: "" }) }, `Group ${chosen.group}`, h("b", { "aria-label": "remove" }, "×")));
    if (focus) chips.querySelector(`[data-state="${CSS.escape(focus)}"]`)?.focus();
    for (const each of head.children) each.setAttribute("aria-sort", each.dataset.sort === by ? (chosen.desc ? "descending" : "ascending") : "none");
    show(said, found.length === all.length ? plural(all.length, "neighbor") : `${count(found.length)} of ${plural(all.length, "neighbor")}`);
    table.setAttribute("aria-rowcount", String(found.length + 1));
    active = Math.min(active, Math.max(found.length - 1, 0));
    measure();
    draw();
  }

  function measure() {
    height = matchMedia("(max-width: 760px)").matches ? 76 : 44;
    space.style.height = `${Math.max(found.length * height, 1)}px`;
  }

  function cells(row) {
    const now = Date.now() / 1000;
    const values = {
      name: [h("a", { href: `#/neighbor/${encodeURIComponent(row.name)}`, tabindex: "-1" }, row.name), h("small", {}, row.description || (row.address === row.name ? "" : row.address))],
      state: state(row.state, row.running),
      since: age(now - row.since),
      asn: row.asn,
      kind: row.kind || "–",
      received: short(row.received),
      told: short(row.told),
      updates_in: short(row.updates_in),
      updates_out: short(row.updates_out),
      error: row.state === "Established" ? (row.behind ? "told the latest state only: it is slow" : "") : cited(row.error || ""),
    };
    return COLUMNS.map(([name, label, kind]) => h("div", { role: "cell", class: `td ${name} ${kind}`, "data-label": label, title: name === "error" ? row.error : null }, values[name]));
  }

  function draw() {
    const from = Math.max(0, Math.floor(scroll.scrollTop / height) - SPARE);
    const to = Math.min(found.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + SPARE);
    if (!found.length) {
      show(space, empty(all.length ? "No neighbor is like that. " : "There are no neighbors yet. ", all.length ? h("a", { href: "#/neighbors" }, "Show all") : "They appear here when they are configured, or connect from a listen range."));
      space.style.height = "auto";
      return;
    }
    show(space, found.slice(from, to).map((row, index) => h("div", {
      class: `tr ${from + index === active ? "active" : ""} ${row.state === "Established" ? "" : "down"}`, role: "row", "aria-rowindex": from + index + 2, css: { top: `${(from + index) * height}px` },
      onclick: (event) => { if (!event.target.closest("a") && !String(getSelection())) location.hash = `#/neighbor/${encodeURIComponent(row.name)}`; },
    }, cells(row))));
  }

  let drawing = 0;
  scroll.addEventListener("scroll", () => { cancelAnimationFrame(drawing); drawing = requestAnimationFrame(draw); }, { passive: true });
  scroll.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroll.clientHeight / height) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -found.length, End: found.length }[event.key];
    if (event.key === "Enter" && found[active]) { location.hash = `#/neighbor/${encodeURIComponent(found[active].name)}`; return; }
    if (!step) return;
    event.preventDefault();
    active = Math.min(Math.max(active + step, 0), found.length - 1);
    if (active * height < scroll.scrollTop) scroll.scrollTop = active * height;
    if ((active + 1) * height > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = (active + 1) * height - scroll.clientHeight;
    draw();
  });
  addEventListener("resize", () => { measure(); draw(); }, { signal });
  roll.follow((now, error) => {
    if (error) { if (!all) show(space, failure(error)); return; }
    all = now.rows;
    sift();
  }, signal);
  if (!all) show(said, "Asking for the neighbors…");
}

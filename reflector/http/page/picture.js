// Who peers with whom, and how routes flow: the reflector in the middle, its neighbors around it.

import { h, s, show, card, state, cited, empty, failure, field, peerLink, SLUGS } from "./dom.js";
import { age, count, plural, short } from "./format.js";
import { get, roll } from "./net.js";
import { clusters, few, place } from "./layout.js";

const TONES = ["up", "rising", "trying", "idle", "off"];

function slug(row) {
  return row.running ? SLUGS[row.state] || "idle" : "off";
}

function weight(routes, most = 9) {
  return routes > 0 ? Math.min(1.2 + Math.log10(routes + 1) * 1.6, most) : 0;
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

export function picture(main, { query, signal, keep }) {
  let all = [];
  let flow = null;
  let spots = [];
  let at = -1;
  let size = null;
  let width = 0;
  const input = h("input", { type: "text", value: query.prefix || "", placeholder: "10.1.0.0/16", spellcheck: "false", autocomplete: "off" });
  const svg = s("svg", { class: "picture", tabindex: "0", role: "application", "aria-label": "The reflector and its neighbors. Left and right go from one to the next, Enter opens it." });
  const tip = h("div", { class: "tip", role: "status", hidden: true });
  const box = h("div", { class: "canvas" }, svg, tip);
  const said = h("p", { class: "answer", role: "status" });
  const legend = h("ul", { class: "legend" });
  const list = card("In words");
  main.append(h("div", { class: "head" }, h("h1", {}, "Picture"), h("p", { class: "lead" }, "Who peers with the reflector, and how routes flow: the wider a stream, the more routes.")),
    h("form", { class: "controls search", onsubmit: (event) => { event.preventDefault(); pick(); } }, field("Follow a route", input), h("div", { class: "buttons" }, h("button", { type: "submit", class: "main" }, "Follow"),
      h("button", { type: "button", class: "quiet", onclick: () => { input.value = ""; pick(); } }, "All routes"))),
    said, h("section", { class: "card figure" }, box, legend), list);

  // What a neighbor has to do with the prefix that is followed.
  function part(row) {
    const own = flow.paths.filter((path) => path.peer === row.name);
    if (own.some((path) => path.best)) return "origin";
    const group = flow.told.get(row.group);
    const told = flow.senders[row.name] ? flow.senders[row.name].some((path) => path.told) : group;
    return told ? "told" : own.length ? "other" : "untold";
  }

  function draw() {
    if (!width) return;
    const height = Math.round(width < 560 ? Math.max(width * 1.12, 420) : Math.min(Math.max(width * 0.46, 440), few(all.flatMap((each) => each.rows)) ? 500 : 620));
    size = place(all, width, height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    svg.replaceChildren();
    spots = all.flatMap((each) => each.spots);
    if (!spots.length) { svg.append(s("text", { class: "label", x: width / 2, y: height / 2 + 64, "text-anchor": "middle" }, "No neighbors yet")); }
    if (few(spots)) single(); else many();
    svg.append(s("circle", { class: "hub", cx: size.x, cy: size.y, r: size.hub }), s("text", { class: "hub", x: size.x, y: size.y + 5, "text-anchor": "middle" }, size.hub < 30 ? "RR" : "Reflector"));
    svg.append(s("g", { class: "chosen" }));
    choose(at);
  }

  // Each neighbor with streams of its own: in on one side, out on the other.
  function single() {
    const links = s("g", {});
    for (const spot of spots) {
      const { row } = spot;
      const [dx, dy] = [Math.cos(spot.angle + Math.PI / 2), Math.sin(spot.angle + Math.PI / 2)];
      const curve = (side, tone, thick) => s("path", { class: `stream ${tone}`, css: { "stroke-width": thick }, d: `M${spot.x} ${spot.y}Q${(spot.x + size.x) / 2 + dx * 14 * side} ${(spot.y + size.y) / 2 + dy * 14 * side} ${size.x} ${size.y}` });
      if (flow) {
        const what = part(row);
        if (what === "untold") links.append(curve(0, "off", 1));
        if (what === "told" || what === "other") links.append(curve(what === "other" ? 1 : 0, what === "told" ? "told" : "other", what === "told" ? 2.5 : 1.5));
        if (what === "origin") links.append(curve(0, "on", 4));
      } else if (row.state === "Established") {
        links.append(curve(1, "on", weight(row.received) || 1), curve(-1, "told", weight(row.told) || 1));
      } else {
        links.append(curve(0, `down ${slug(row)}`, 1.5));
      }
    }
    svg.append(links);
    for (const spot of spots) {
      const { row } = spot;
      const right = Math.cos(spot.angle) > 0.25;
      const left = Math.cos(spot.angle) < -0.25;
      const below = Math.sin(spot.angle) > 0;
      const tight = width < 560;
      svg.append(s("circle", { class: `node ${flow ? part(row) : slug(row)}`, cx: spot.x, cy: spot.y, r: size.dot }));
      const middle = tight || !(right || left);
      // Those at the top and at the bottom are near each other: names go away from the middle.
      const lean = tight ? 0 : Math.cos(spot.angle);
      const anchor = lean > 0.02 ? "start" : lean < -0.02 ? "end" : "middle";
      const x = middle ? spot.x - 6 * Math.sign(lean) * (anchor !== "middle") : spot.x + (right ? 14 : -14);
      svg.append(s("text", { class: "label", x, y: middle ? spot.y + (below ? 22 : -14) : spot.y + 4, "text-anchor": anchor }, cut(row.name, tight ? 13 : 20)));
    }
  }

  // Thousands: dots in sectors, and a stream for each sector.
  function many() {
    const tight = width < 560;
    for (const cluster of all) {
      const [cx, cy] = [Math.cos(cluster.middle), Math.sin(cluster.middle)];
      const [ox, oy] = [-cy, cx];
      const shift = Math.min(14, size.hub * 0.4);
      const stream = (side, tone, thick) => thick && svg.append(s("path", { class: `stream ${tone}`, css: { "stroke-width": thick },
        d: `M${size.x + cx * size.hub + ox * shift * side} ${size.y + cy * size.hub + oy * shift * side}L${size.x + cx * (size.inner - 3) + ox * shift * side} ${size.y + cy * (size.inner - 3) + oy * shift * side}` }));
      if (flow) {
        const parts = cluster.rows.map(part);
        if (parts.includes("origin") || parts.includes("other")) stream(1, parts.includes("origin") ? "on" : "other", parts.includes("origin") ? 6 : 2);
        stream(-1, "told", weight(parts.filter((each) => each === "told").length, 16));
      } else {
        stream(1, "on", weight(cluster.received, 16));
        stream(-1, "told", weight(cluster.told, 16));
      }
      svg.append(s("path", { class: "sector", d: arc(cluster.from, cluster.to, size.inner - 2) }));
    }
    if (!tight) named();
    const paths = {};
    for (const spot of spots) {
      const tone = flow ? part(spot.row) : slug(spot.row);
      paths[tone] = (paths[tone] || "") + `M${spot.x.toFixed(1)} ${spot.y.toFixed(1)}h0`;
    }
    for (const tone of flow ? ["untold", "told", "other", "origin"] : TONES) {
      if (paths[tone]) svg.append(s("path", { class: `dots ${tone}`, d: paths[tone], "stroke-width": size.dot * (tone === "origin" || tone === "other" ? 3.4 : 2) }));
    }
  }

  // The names of sectors stand beside the picture, one below the other where they would meet.
  function named() {
    const height = svg.viewBox.baseVal.height;
    for (const right of [true, false]) {
      const some = all.filter((each) => (Math.cos(each.middle) >= 0) === right).sort((a, b) => Math.sin(a.middle) - Math.sin(b.middle));
      let next = 16;
      some.forEach((cluster, index) => {
        const last = height - 24 - (some.length - 1 - index) * 36;
        const y = Math.min(Math.max(size.y + Math.sin(cluster.middle) * (size.outer + 14), next), last);
        next = y + 36;
        const side = right ? 1 : -1;
        const x = size.x + side * (size.outer + 26);
        const [ex, ey] = [size.x + Math.cos(cluster.middle) * cluster.end, size.y + Math.sin(cluster.middle) * cluster.end];
        const anchor = right ? "start" : "end";
        svg.append(s("path", { class: "lead-line", d: `M${ex} ${ey}L${x - side * 6} ${y}` }),
          s("text", { class: "label", x, y: y + 1, "text-anchor": anchor }, cut(cluster.label, 30)),
          s("text", { class: "sub", x, y: y + 16, "text-anchor": anchor }, `${count(cluster.up)} of ${count(cluster.rows.length)} up`));
      });
    }
  }

  function arc(from, to, radius) {
    const point = (angle) => `${(size.x + radius * Math.cos(angle)).toFixed(1)} ${(size.y + radius * Math.sin(angle)).toFixed(1)}`;
    if (to - from > 6.2) return `M${point(0)}A${radius} ${radius} 0 1 1 ${point(Math.PI)}A${radius} ${radius} 0 1 1 ${point(0)}`;
    return `M${point(from)}A${radius} ${radius} 0 ${to - from > Math.PI ? 1 : 0} 1 ${point(to)}`;
  }

  function choose(index) {
    at = index < spots.length ? index : -1;
    tip.hidden = at < 0;
    const layer = svg.querySelector(".chosen");
    layer?.replaceChildren();
    if (at < 0 || !layer) return;
    const { row, x, y } = spots[at];
    layer.append(s("line", { class: "ray", x1: size.x, y1: size.y, x2: x, y2: y }), s("circle", { class: "ring", cx: x, cy: y, r: Math.max(size.dot + 4, 6) }));
    const words = { origin: "the best path is from here", other: "a path from here was not chosen", told: "is told", untold: "is not told" };
    show(tip, h("b", {}, peerLink(row.name)), h("span", {}, state(row.state, row.running), ` for ${age(Date.now() / 1000 - row.since)}`), h("span", {}, `${row.kind || "no session"}, AS ${row.asn}`),
      flow ? h("span", {}, words[part(row)]) : row.state === "Established" ? h("span", {}, `${short(row.received)} received, ${short(row.told)} told`) : h("span", { class: "why" }, cited(row.error || "no error")));
    const scale = svg.clientWidth / width || 1;
    tip.style.left = `${Math.min(Math.max(x * scale - tip.offsetWidth / 2, 4), Math.max(width * scale - tip.offsetWidth - 4, 4))}px`;
    tip.style.top = `${y * scale > 150 ? y * scale - tip.offsetHeight - 14 : y * scale + 14}px`;
  }

  function nearest(event) {
    const bounds = svg.getBoundingClientRect();
    const [x, y] = [((event.clientX - bounds.left) / bounds.width) * width, ((event.clientY - bounds.top) / bounds.height) * svg.viewBox.baseVal.height];
    let [best, found] = [Math.max(size.dot * 2.2, 14) ** 2, -1];
    spots.forEach((spot, index) => { const far = (spot.x - x) ** 2 + (spot.y - y) ** 2; if (far < best) { best = far; found = index; } });
    return found;
  }

  svg.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") { const found = nearest(event); if (found !== at) choose(found); svg.classList.toggle("over", found >= 0); } });
  svg.addEventListener("click", (event) => {
    const found = nearest(event);
    // A finger shows first what it would open.
    if (found >= 0 && found === at && event.detail) open(); else choose(found);
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && at >= 0) open();
    else if (event.key === "Escape") choose(-1);
    else if (step && spots.length) { event.preventDefault(); choose((Math.max(at, step > 0 ? -1 : 0) + step + spots.length) % spots.length); }
  });

  function open() {
    location.hash = `#/neighbor/${encodeURIComponent(spots[at].row.name)}`;
  }

  function words() {
    const items = flow ? [["origin", "the best path is from here"], ["other", "has a path that was not chosen"], ["told", "is told"], ["untold", "is not told"]]
      : [["up", "Established"], ["trying", "not yet"], ["idle", "Idle"], ["on", "routes to the reflector"], ["told", "routes from the reflector"]];
    show(legend, items.map(([tone, label]) => h("li", {}, h("i", { class: tone, "aria-hidden": "true" }), label)));
    show(list, h("h2", {}, "In words"), all.length ? h("div", { class: "wide" }, h("table", { class: "rows small" }, h("thead", {}, h("tr", {}, ["Who", "Up", "Routes in", "Routes told"].map((label, index) => h("th", { scope: "col", class: index ? "number" : "" }, label)))),
      h("tbody", {}, all.map((each) => h("tr", {}, h("th", { scope: "row" }, each.label), h("td", { class: "number", "data-label": "Up" }, `${count(each.up)} of ${count(each.rows.length)}`),
        h("td", { class: "number", "data-label": "Routes in" }, count(each.received)), h("td", { class: "number", "data-label": "Routes told" }, count(each.told))))))) : empty("There are no neighbors yet."));
    if (!flow) { show(said); return; }
    const rows = roll.rows || [];
    const told = rows.filter((row) => part(row) === "told").length;
    const best = flow.paths.find((path) => path.best);
    const others = flow.paths.filter((path) => !path.best);
    show(said, h("b", {}, h("a", { class: "mono", href: `#/explain?prefix=${encodeURIComponent(flow.prefix)}` }, flow.prefix)), best ? [" came from ", peerLink(best.peer)] : " has no usable path",
      others.length > 0 && [" and, not chosen, from ", others.slice(0, 3).map((path, index) => [index ? ", " : "", peerLink(path.peer)]), others.length > 3 && ` and ${count(others.length - 3)} more`],
      `; ${count(told)} of ${plural(rows.length, "neighbor")} ${told === 1 ? "is" : "are"} told.`);
  }

  async function pick() {
    const prefix = input.value.trim();
    keep({ prefix });
    at = -1;
    if (!prefix) { flow = null; words(); draw(); return; }
    try {
      const found = await get("flow", { prefix }, signal);
      flow = { ...found, told: new Map(found.groups.map((group) => [group.group, group.paths.some((path) => path.told)])) };
      words();
      draw();
    } catch (error) {
      if (signal.aborted) return;
      flow = null;
      words();
      draw();
      show(said, failure(error));
    }
  }

  roll.follow((now, error) => {
    if (error) { if (!now.rows) show(said, failure(error)); return; }
    all = clusters(now.rows);
    if (!flow && said.querySelector(".failure")) draw(); else { words(); draw(); }
  }, signal);
  const observer = new ResizeObserver(([entry]) => { const next = Math.round(entry.contentRect.width); if (next !== width) { width = next; draw(); } });
  observer.observe(box);
  signal.addEventListener("abort", () => observer.disconnect());
  if (query.prefix) pick();
}


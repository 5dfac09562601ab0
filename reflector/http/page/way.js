// The way of a route, small: from whom it came, through the reflector, to whom.

import { h, s } from "./dom.js";
import { plural } from "./format.js";

const MOST = 6;
const STEP = 46;

function cut(text, most = 18) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

export function way(flow) {
  const from = [...flow.paths].sort((a, b) => b.best - a.best || b.usable - a.usable);
  const left = from.slice(0, MOST).map((path) => ({ label: path.peer || "ourselves", sub: path.best ? "best" : path.usable ? "not chosen" : "refused", tone: path.best ? "on" : path.usable ? "off" : "bad" }));
  if (from.length > MOST) left.push({ label: `${from.length - MOST} more`, sub: "paths", tone: "off" });
  const right = flow.groups.slice(0, MOST).map((group) => {
    const told = group.paths.some((path) => path.told);
    const rule = group.paths.find((path) => !path.told);
    return { label: plural(group.members, group.kind.replaceAll("-", " ")), sub: told ? "told" : rule ? rule.rule.replaceAll("-", " ") : "not told", tone: told ? "told" : "off" };
  });
  if (flow.groups.length > MOST) right.push({ label: `${flow.groups.length - MOST} more`, sub: "groups", tone: "off" });
  const height = Math.max(left.length, right.length, 1) * STEP + 16;
  const middle = height / 2;
  const at = (index, all) => middle + (index - (all.length - 1) / 2) * STEP;
  const svg = s("svg", { class: "way", viewBox: `0 0 440 ${height}`, role: "img", "aria-label": `${flow.prefix}: ${left.map((each) => `${each.label} ${each.sub}`).join(", ")}; then ${right.map((each) => `${each.label} ${each.sub}`).join(", ") || "nobody"}` });
  left.forEach((each, index) => svg.append(s("path", { class: `stream ${each.tone}`, d: `M130 ${at(index, left)} C175 ${at(index, left)} 165 ${middle} 202 ${middle}` })));
  right.forEach((each, index) => svg.append(s("path", { class: `stream ${each.tone}`, d: `M238 ${middle} C275 ${middle} 265 ${at(index, right)} 310 ${at(index, right)}` })));
  const node = (each, x, y, anchor) => [s("circle", { class: `node ${each.tone}`, cx: x, cy: y, r: 5 }),
    s("text", { class: "label", x: x + (anchor === "end" ? -10 : 10), y: y - 2, "text-anchor": anchor }, cut(each.label)), s("text", { class: "sub", x: x + (anchor === "end" ? -10 : 10), y: y + 12, "text-anchor": anchor }, cut(each.sub, 22))];
  left.forEach((each, index) => svg.append(...node(each, 130, at(index, left), "end")));
  right.forEach((each, index) => svg.append(...node(each, 310, at(index, right), "start")));
  svg.append(s("circle", { class: "hub", cx: 220, cy: middle, r: 18 }), s("text", { class: "hub", x: 220, y: middle + 5, "text-anchor": "middle" }, "RR"));
  return h("div", { class: "way-box" }, svg);
}

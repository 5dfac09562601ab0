// Plots, drawn as SVG: lines, areas and bars over time, with axes, a cursor, and words for who does not see them.

import { h, s } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 190;
const EDGE = { top: 10, right: 12, bottom: 24, left: 58 };

// A few round values from 0, or near the lowest, up to at least the highest.
function ticks(low, high, most = 4) {
  if (high <= low) high = low + 1;
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let value = Math.floor(low / step) * step; value < high + step * 0.999; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

function hours(from, to, width) {
  const steps = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200];
  const step = steps.find((each) => (to - from) / each <= Math.max(2, width / 90)) || 86400;
  const shift = new Date(to * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) found.push(time);
  return found.map((time) => [time, clock(time).slice(0, step < 60 ? 8 : 5)]);
}

export function spark(values, words) {
  const width = 120;
  const height = 28;
  const high = Math.max(...values, 0);
  const low = Math.min(...values);
  const floor = low > 0 && high - low < high * 0.5 ? low - (high - low || 1) : 0;
  const x = (index) => (values.length < 2 ? 0 : (index / (values.length - 1)) * width);
  const y = (value) => height - 2 - ((value - floor) / (high - floor || 1)) * (height - 5);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${words}, lately` },
    points.length > 1 && s("polygon", { class: "area", points: `0,${height} ${points.join(" ")} ${width},${height}` }),
    points.length > 1 && s("polyline", { class: "line", points: points.join(" ") }));
}

// series: [{name, tone, values, bars}]; marks: [[time, text]]; `least`: how high the axis is at least.
export function chart({ title, text, times, series, format, marks = [], whole = false, least = 1 }) {
  const svg = s("svg", { class: "chart", role: "img", tabindex: "0" });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("ul", { class: "legend" }, series.map((each) => h("li", {}, h("i", { class: each.tone, "aria-hidden": "true" }), each.name)));
  const figure = h("figure", { class: "card plot" }, h("figcaption", {}, h("h2", {}, title), h("p", {}, text)), series.length > 1 && legend, h("div", { class: "canvas" }, svg, tip));
  const from = times[0];
  const to = times[times.length - 1];
  const all = series.flatMap((each) => each.values);
  const highest = Math.max(...all, 0);
  const lowest = Math.min(...all);
  // A line that hardly moves far above 0 is looked at closely; then the axis does not begin at 0, and says so.
  const near = !series.some((each) => each.bars) && lowest > 0 && highest - lowest < lowest * 0.2;
  let values = ticks(near ? lowest : 0, Math.max(highest, least));
  if (whole) values = values.filter((value) => Number.isInteger(value));
  const [low, high] = [values[0], values[values.length - 1]];
  const last = series.map((each) => `${each.name} ${format(each.values[each.values.length - 1])}, at most ${format(Math.max(...each.values))}`);
  svg.setAttribute("aria-label", `${title}, from ${clock(from)} to ${clock(to)}: ${last.join("; ")}. Left and right go through the values.`);

  let width = 0;
  let at = -1;
  const x = (time) => EDGE.left + ((time - from) / (to - from || 1)) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low || 1)) * (HEIGHT - EDGE.top - EDGE.bottom);

  function draw() {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const value of values) {
      svg.append(s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
        s("text", { class: "tick", x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)));
    }
    for (const [time, label] of hours(from, to, width)) {
      svg.append(s("text", { class: "tick", x: Math.min(Math.max(x(time), EDGE.left + 14), width - 20), y: HEIGHT - 7, "text-anchor": "middle" }, label));
    }
    for (const each of series) {
      if (each.bars) {
        const size = Math.max(1.5, (width - EDGE.left - EDGE.right) / times.length - 0.5);
        const path = each.values.map((value, index) => (value ? `M${x(times[index]).toFixed(1)} ${y(0)}V${y(value).toFixed(1)}` : "")).join("");
        svg.append(s("path", { class: `bars ${each.tone}`, d: path, "stroke-width": size }));
      } else {
        const points = each.values.map((value, index) => `${x(times[index]).toFixed(1)},${y(value).toFixed(1)}`);
        if (series.length === 1) svg.append(s("polygon", { class: `area ${each.tone}`, points: `${x(from)},${y(low)} ${points.join(" ")} ${x(to)},${y(low)}` }));
        svg.append(s("polyline", { class: `line ${each.tone}`, points: points.join(" ") }));
      }
    }
    for (const [time, words] of marks) {
      if (time < from || time > to) continue;
      const end = x(time) > width * 0.6;
      svg.append(s("line", { class: "mark", x1: x(time), x2: x(time), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
        s("text", { class: "mark", x: x(time) + (end ? -6 : 6), y: EDGE.top + 10, "text-anchor": end ? "end" : "start" }, words));
    }
    if (at >= 0) {
      svg.append(s("line", { class: "cursor", x1: x(times[at]), x2: x(times[at]), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
      for (const each of series) svg.append(s("circle", { class: `point ${each.tone}`, cx: x(times[at]), cy: y(each.values[at]), r: 3.5 }));
    }
  }

  function point(index) {
    at = index;
    tip.hidden = at < 0;
    if (at >= 0) {
      tip.replaceChildren(h("b", {}, clock(times[at])), ...series.map((each) => h("span", {}, h("i", { class: each.tone }), `${each.name} ${format(each.values[at])}`)));
      const left = x(times[at]);
      tip.style.left = `${left > width / 2 ? left - tip.offsetWidth - 12 : left + 12}px`;
    }
    draw();
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const share = (event.clientX - box.left - EDGE.left) / (width - EDGE.left - EDGE.right);
    const time = from + Math.min(Math.max(share, 0), 1) * (to - from);
    let index = times.findIndex((each) => each >= time);
    if (index > 0 && time - times[index - 1] < times[index] - time) index -= 1;
    point(index < 0 ? times.length - 1 : index);
  });
  svg.addEventListener("pointerleave", () => point(-1));
  svg.addEventListener("blur", () => point(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (!step) return;
    event.preventDefault();
    point(Math.min(Math.max((at < 0 ? times.length - 1 : at) + step, 0), times.length - 1));
  });
  new ResizeObserver(([entry]) => { width = Math.max(entry.contentRect.width, 200); draw(); }).observe(figure.querySelector(".canvas"));
  return figure;
}

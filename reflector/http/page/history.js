// The last half hour, or day: how sessions and routes converged, how much changed, and who lagged.

import { h, show, empty, failure } from "./dom.js";
import { octets, plural, seconds, short } from "./format.js";
import { get, live } from "./net.js";
import { chart } from "./chart.js";

const SPANS = [["half-hour", "Half an hour"], ["day", "A day"]];
const MOST = 450;

// No more points than can be seen: sums of sums, the most of what is at its worst.
function thin(columns) {
  const length = columns.time.length;
  const step = Math.ceil(length / MOST);
  if (step < 2) return columns;
  const how = { updates_in: "sum", updates_out: "sum", ups: "sum", downs: "sum", seconds: "sum", behind: "most", lag: "most", queue: "most", loop_lag: "most" };
  const found = {};
  for (const [name, values] of Object.entries(columns)) {
    found[name] = [];
    for (let index = length % step; index < length; index += step) {
      const some = values.slice(index, index + step);
      found[name].push(how[name] === "sum" ? some.reduce((a, b) => a + b, 0) : how[name] === "most" ? Math.max(...some) : some[some.length - 1]);
    }
  }
  return found;
}

export function history(main, { query, signal, keep }) {
  let span = SPANS.some(([name]) => name === query.span) ? query.span : "half-hour";
  let found = null;
  const plots = h("div", { class: "plots" });
  const choice = h("div", { class: "choice", role: "group", "aria-label": "Span" }, SPANS.map(([name, label]) =>
    h("button", { type: "button", "data-span": name, onclick: () => { span = name; keep({ span: name === "half-hour" ? "" : name }); mark(); ask(); } }, label)));
  const lead = h("p", { class: "lead" }, "Kept in memory only: it begins when the reflector does.");
  main.append(h("div", { class: "head split" }, h("div", {}, h("h1", {}, "Convergence and churn"), lead), choice), plots);

  function mark() {
    for (const each of choice.children) each.setAttribute("aria-pressed", String(each.dataset.span === span));
  }

  async function ask() {
    try {
      found = await get("history", { span }, signal);
      draw();
    } catch (error) {
      if (!signal.aborted && !found) show(plots, failure(error));
    }
  }

  function draw() {
    if (plots.contains(document.activeElement) || plots.matches(":hover")) return; // somebody reads
    const columns = thin(found.columns);
    const times = columns.time;
    if (times.length < 2) {
      show(plots, empty(span === "day" ? "There is a point a minute; the first ones come soon." : "There is a point every two seconds; the first ones come at once."));
      return;
    }
    const rate = (name) => columns[name].map((value, index) => value / (columns.seconds[index] || 1));
    const marks = found.converged.is && found.converged.after !== null
      ? [[found.started + found.converged.after, `converged after ${seconds(found.converged.after)}`]] : [];
    const ups = columns.ups.reduce((a, b) => a + b, 0);
    const downs = columns.downs.reduce((a, b) => a + b, 0);
    show(plots,
      chart({ title: "Sessions", text: "How many are Established, of how many neighbors.", times, marks, format: short, whole: true,
        series: [{ name: "neighbors", tone: "grey", values: columns.neighbors }, { name: "Established", tone: "green", values: columns.established }] }),
      chart({ title: "Routes", text: "Several paths to a prefix are several routes.", times, marks, format: short, whole: true,
        series: [{ name: "routes", tone: "blue", values: columns.routes }, { name: "prefixes", tone: "violet", values: columns.prefixes }] }),
      chart({ title: "Churn", text: "UPDATEs a second, from and to all neighbors together.", times, format: (value) => `${short(value)}/s`,
        series: [{ name: "in", tone: "blue", values: rate("updates_in") }, { name: "out", tone: "violet", values: rate("updates_out") }] }),
      chart({ title: "Sessions that came and went", text: `${plural(ups, "session")} came up and ${downs} went down in this time.`, times, format: short, whole: true,
        series: [{ name: "up", tone: "green", values: columns.ups, bars: true }, { name: "down", tone: "red", values: columns.downs, bars: true }] }),
      chart({ title: "Until everybody knows", text: "For how long the slowest neighbor has had news waiting.", times, format: seconds, least: 0.1,
        series: [{ name: "behind", tone: "orange", values: columns.lag }] }),
      chart({ title: "Waiting octets", text: "What neighbors and the kernel have not taken yet.", times, format: octets, least: 1000,
        series: [{ name: "waiting", tone: "orange", values: columns.queue }] }),
      chart({ title: "Loop lag", text: "How late the event loop ran, at most.", times, format: seconds, least: 0.005,
        series: [{ name: "late", tone: "violet", values: columns.loop_lag }] }),
      chart({ title: "Memory", text: "What the process holds of it.", times, format: octets,
        series: [{ name: "resident", tone: "grey", values: columns.memory }] }));
  }

  live.addEventListener("sample", ({ detail }) => {
    if (!found || span !== "half-hour") return;
    for (const [name, values] of Object.entries(found.columns)) { values.push(detail[name]); if (values.length > 900) values.shift(); }
    draw();
  }, { signal });
  live.addEventListener("restarted", ask, { signal });
  const timer = setInterval(() => span === "day" && ask(), 60000);
  signal.addEventListener("abort", () => clearInterval(timer));
  mark();
  ask();
}

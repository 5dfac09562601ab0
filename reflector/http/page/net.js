// What is asked of the reflector: reports, the roll of neighbors, and live news over one connection.

export async function get(path, query = {}, signal) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) given.set(name, value === true ? "true" : value);
  }
  const text = given.toString();
  let response;
  try {
    response = await fetch(`api/${path}${text ? `?${text}` : ""}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The reflector does not answer.", { cause: error });
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(`The answer was not understood (HTTP status ${response.status}).`, { cause: error });
  }
  if (body.error) throw new Error(body.error);
  if (!response.ok) throw new Error(`The reflector refused that (HTTP status ${response.status}).`);
  return body;
}

export async function rows(report, query, signal) {
  return (await get(`show/${report}`, query, signal)).rows;
}

// --- Live news -------------------------------------------------------------------------------------------

const SAMPLE = [
  "time", "established", "neighbors", "prefixes", "routes", "updates_in", "updates_out", "ups", "downs", "behind",
  "lag", "queue", "loop_lag", "memory", "seconds",
];
const KEPT = 500;

class Live extends EventTarget {
  state = "connecting"; // or "live", "lost"
  since = Date.now();
  started = null;
  sample = null;
  peers = [];
  routes = null; // what changes of routes are wanted: null for none
  #source = null;
  #timer = 0;
  #event = 0;
  #wait = 1000;

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    // A browser lets few connections to one place be open: who goes away gives this one back.
    addEventListener("pagehide", () => this.#close());
    this.#open();
  }

  want(routes) {
    if (JSON.stringify(routes) === JSON.stringify(this.routes)) return;
    this.routes = routes;
    this.#close();
    this.#open();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    if (this.#source || document.hidden) return;
    const query = this.routes ? `?${new URLSearchParams({ routes: "1", ...this.routes })}` : "";
    const source = new EventSource(`api/live${query}`);
    this.#source = source;
    source.onerror = () => {
      this.#become("lost");
      this.#close();
      this.#timer = setTimeout(() => this.#open(), this.#wait);
      this.#wait = Math.min(this.#wait * 1.5, 10000);
    };
    const on = (name, heard) => source.addEventListener(name, (message) => heard(JSON.parse(message.data)));
    on("hello", (hello) => {
      this.#wait = 1000;
      const restarted = this.started !== null && this.started !== hello.started;
      if (this.started !== hello.started) { this.peers = []; this.#event = 0; }
      this.started = hello.started;
      this.#become("live");
      if (restarted) this.#say("restarted", hello);
    });
    on("sample", (values) => {
      this.sample = Object.fromEntries(SAMPLE.map((name, index) => [name, values[index]]));
      this.#say("sample", this.sample);
    });
    on("peer", (event) => {
      if (event.number <= this.#event) return;
      this.#event = event.number;
      this.peers.push(event);
      if (this.peers.length > KEPT) this.peers.splice(0, this.peers.length - KEPT);
      this.#say("peer", event);
    });
    for (const name of ["route", "passed", "lost"]) on(name, (value) => this.#say(name, value));
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.since = Date.now();
    this.#say("link", state);
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();

// --- The roll: all neighbors, kept while somebody looks ----------------------------------------------------

class Roll extends EventTarget {
  rows = null;
  groups = [];
  #wanted = 0;
  #timer = 0;
  #asking = null;
  #soon = false;

  constructor() {
    super();
    live.addEventListener("peer", ({ detail }) => this.#heard(detail));
    live.addEventListener("link", ({ detail }) => detail === "live" && this.#wanted && this.refresh());
    live.addEventListener("restarted", () => this.#wanted && this.refresh());
  }

  // Follow it until `signal` says so; `seen` is called now and with each change.
  follow(seen, signal) {
    this.#wanted += 1;
    this.addEventListener("change", () => seen(this), { signal });
    this.addEventListener("failed", ({ detail }) => seen(this, detail), { signal });
    signal.addEventListener("abort", () => { this.#wanted -= 1; });
    if (this.rows) seen(this);
    this.refresh();
  }

  named(name) {
    return this.rows?.find((row) => row.name === name);
  }

  async refresh() {
    if (this.#asking) { this.#soon = true; return; }
    clearTimeout(this.#timer);
    this.#asking = get("roll");
    try {
      const found = await this.#asking;
      const names = found.columns;
      this.groups = found.groups;
      this.rows = found.rows.map((values) => {
        const row = {};
        for (let index = 0; index < names.length; index += 1) row[names[index]] = values[index];
        return row;
      });
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    } finally {
      this.#asking = null;
    }
    // Five thousand neighbors are asked for every ten seconds; a few, every three.
    const rest = this.#soon ? 1500 : Math.max(3000, (this.rows?.length || 0) * 2);
    this.#soon = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wanted && !document.hidden && this.refresh(), rest);
  }

  #heard(event) {
    if (!this.#wanted || !this.rows) return;
    const row = this.named(event.peer);
    if (row && event.what === "state") {
      row.state = event.state;
      row.since = event.time;
      if (event.state !== "Established") row.received = row.told = null;
    } else if (row && event.what === "down") {
      row.error = event.text;
      row.error_at = event.time;
    } else if (event.what === "added" || event.what === "removed") {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.refresh(), 1500);
      return;
    } else {
      return;
    }
    if (this.#later) return;
    this.#later = setTimeout(() => { this.#later = 0; this.dispatchEvent(new Event("change")); }, 250);
  }

  #later = 0;
}

export const roll = new Roll();

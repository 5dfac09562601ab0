// Numbers, times and attributes as they are read.

const GROUPS = new Intl.NumberFormat("en-US");

export function count(value) {
  return value === null || value === undefined ? "–" : GROUPS.format(value);
}

export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${trim(value / 1e6)} M`;
  if (size >= 1e4) return `${trim(value / 1e3)} k`;
  if (size >= 100 || Number.isInteger(value)) return GROUPS.format(Math.round(value));
  return size < 1 ? String(Number(value.toPrecision(1))) : trim(value);
}

function trim(value) {
  return String(Number(value.toPrecision(3)));
}

export function octets(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${trim(value)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 1e-3) return `${trim(value * 1e6)} µs`;
  if (value < 1) return `${trim(value * 1e3)} ms`;
  return value < 10 ? `${trim(value)} s` : age(value);
}

export function age(value) {
  if (value === null || value === undefined) return "–";
  const whole = Math.max(0, Math.floor(value));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => whole >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const rest = parts[first + 1];
  const more = rest ? Math.floor((whole % size) / rest[0]) : 0;
  return `${Math.floor(whole / size)} ${unit}${more ? ` ${more} ${rest[1]}` : ""}`;
}

export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

export function moment(time) {
  const date = new Date(time * 1000);
  const days = Math.abs(Date.now() / 1000 - time) > 43200;
  return `${days ? `${date.toLocaleDateString("en-CA")} ` : ""}${date.toLocaleTimeString("en-GB")}`;
}

// An attribute may be a list of lists, or an object: what is in it is shown, never what it is called.
export function flat(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(flat).join(" ");
  if (typeof value === "object") return Object.entries(value).map(([name, one]) => `${name} ${flat(one)}`).join(", ");
  return String(value);
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

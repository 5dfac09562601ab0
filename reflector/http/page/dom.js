// Elements from names, properties and children.  A child that is text becomes a text node: nothing that a peer
// says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else if (name === "css") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "href" && !String(value).startsWith("#") && !String(value).startsWith("api/")) continue;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function h(name, properties, ...children) {
  return fill(document.createElement(name), properties, children);
}

export function s(name, properties, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

export function show(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// --- Parts that several views have -----------------------------------------------------------------------

export const SLUGS = {
  Established: "up", OpenConfirm: "rising", OpenSent: "rising", Active: "trying", Connect: "trying", Idle: "idle",
};

export function state(label, running = true) {
  const slug = running ? SLUGS[label] || "idle" : "off";
  return h("span", { class: `state ${slug}` }, h("i", { "aria-hidden": "true" }), running ? label : "disabled");
}

export function card(title, ...children) {
  return h("section", { class: "card" }, title && h("h2", {}, title), children);
}

export function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter((row) => row && row[1] !== null && row[1] !== undefined && row[1] !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function empty(...text) {
  return h("p", { class: "empty" }, text);
}

export function failure(error) {
  return h("p", { class: "failure", role: "alert" }, error.message || String(error));
}

// The reference to an RFC stands out of a sentence.
export function cited(text) {
  return String(text).split(/(RFC \d+(?: \d+(?:\.\d+)*(?: [a-z]\b)?)?)/).map((part, index) =>
    index % 2 ? h("span", { class: "rfc" }, part) : part);
}

export function field(label, input, hint) {
  return h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, hint));
}

export function peerLink(name, label = name) {
  return name ? h("a", { href: `#/neighbor/${encodeURIComponent(name)}` }, label) : h("span", {}, "ourselves");
}

export function prefixLink(prefix) {
  return h("a", { class: "mono", href: `#/explain?prefix=${encodeURIComponent(prefix)}` }, prefix);
}

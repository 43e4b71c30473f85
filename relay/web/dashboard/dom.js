// The little that is needed to build a page without a framework: elements, text, and lists by key.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element. Text goes in as text, never as markup: what comes from a database is not trusted. */
export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/** An SVG element. */
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** A sign of the sprite in the page; decoration, the words beside it say the same. */
export function sign(name) {
  return s("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("use", { href: `#sign-${name}` }));
}

export const $ = (id) => document.getElementById(id);

/** Set text only where it changed: an unchanged node is neither laid out nor announced again. */
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
  return node;
}

export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

export function toggle(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/**
 * Make the children of `parent` show `items`, in order, keeping the node of each key: focus, selection and running
 * animations survive. `build(item)` makes a node, `update(node, item)` brings it up to date.
 */
export function keyed(parent, items, key, build, update) {
  const known = (parent.keyedNodes ??= new Map());
  const kept = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const node = known.get(name) ?? build(item);
    kept.set(name, node);
    known.delete(name);
    update(node, item);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of known.values()) node.remove();
  parent.keyedNodes = kept;
}

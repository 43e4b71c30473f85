// A status as a badge: a sign, a word and a tone.

import { h, s, text } from "./dom.js";
import { meaning } from "./tone.js";

export function badge(status) {
  const use = s("use");
  const node = h(
    "span",
    { class: "badge" },
    s("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true" }, use),
    h("span"),
  );
  node.use = use;
  if (status !== undefined) setBadge(node, status);
  return node;
}

/** `display`: what the channel calls the status, for those that are not known here. */
export function setBadge(node, status, display) {
  const { tone, sign, label } = meaning(status, display);
  if (node.dataset.tone !== tone) node.dataset.tone = tone;
  const href = `#sign-${sign}`;
  if (node.use.getAttribute("href") !== href) node.use.setAttribute("href", href);
  text(node.lastChild, label);
}

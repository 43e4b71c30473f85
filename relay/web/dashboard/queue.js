// What the queues at the side have in common: a heading with a number, some items, and how many more there are.

import { h, keyed, text, toggle } from "./dom.js";
import { count } from "./format.js";

const SHOWN = 5;

/** A queue inside `section`. `build()` makes the button of an item, `update(button, item)` fills it. */
export class Queue {
  #all = false;

  constructor(section, { title, empty, build, update, open, mark }) {
    Object.assign(this, { empty, build, update, open, mark });
    this.number = h("span", { class: "badge number" });
    this.sub = h("p", { class: "sub" });
    this.list = h("ol", { class: "queue" });
    this.nothing = h("p", { class: "empty" }, empty);
    this.note = h("p", { class: "queue-note" });
    this.more = h("button", {
      type: "button",
      class: "plain",
      hidden: true,
      onclick: () => ((this.#all = !this.#all), mark()),
    });
    section.append(
      h("div", { class: "head" }, h("h2", { id: `${section.id}-title` }, title), this.number, this.sub),
      this.list,
      this.nothing,
      this.note,
      this.more,
    );
  }

  /** `tone` of the number; `sub` beside the title; `note` below. */
  show(items, { tone = "quiet", sub = "", note = "", total = items.length }) {
    text(this.number, total);
    this.number.dataset.tone = total ? tone : "quiet";
    text(this.sub, sub);
    const shown = this.#all ? items.slice(0, 100) : items.slice(0, SHOWN);
    keyed(
      this.list,
      shown,
      (item) => item.id,
      (item) => {
        const button = this.build(item);
        button.addEventListener("click", () => this.open(button.item));
        const node = h("li", { data: { id: item.id } }, button);
        node.button = button;
        return node;
      },
      (node, item) => {
        node.button.item = item;
        this.update(node.button, item);
      },
    );
    toggle(this.list, items.length > 0);
    toggle(this.nothing, !items.length && !note);
    text(this.note, note);
    toggle(this.note, Boolean(note));
    toggle(this.more, items.length > SHOWN);
    text(this.more, this.#all ? "Show fewer" : `Show ${count(items.length - SHOWN, "more", "more")}`);
  }
}

/** The button of an item with two lines on the left and two on the right. */
export function twoLines() {
  const parts = {
    first: h("span", { class: "first" }),
    right: h("span", { class: "right" }),
    second: h("span", { class: "second" }),
    due: h("span", { class: "due" }),
  };
  const button = h("button", { type: "button", class: "item" }, parts.first, parts.right, parts.second, parts.due);
  button.parts = parts;
  return button;
}

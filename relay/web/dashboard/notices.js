// What the reader should know besides: one line each, at most one of a kind.

import { $, h, keyed, sign, text, toggle } from "./dom.js";

const MOST = 6;

export class Notices {
  #all = new Map(); // id -> {id, tone, title, text, action, dismiss}

  constructor(mark) {
    this.mark = mark;
  }

  /** `action`: [label, function]; without `keep` the reader can close it. The same `id` again replaces it. */
  show(id, { tone = "warn", title, text: words, action = null, keep = false }) {
    this.#all.set(id, { id, tone, title, words, action, keep });
    while (this.#all.size > MOST) this.#all.delete([...this.#all.values()].find((each) => !each.keep)?.id ?? id);
    this.mark();
  }

  clear(id) {
    if (this.#all.delete(id)) this.mark();
  }

  paint() {
    keyed(
      $("notices"),
      [...this.#all.values()],
      (each) => each.id,
      (each) => this.#build(each),
      (node, each) => {
        const { parts } = node;
        node.dataset.tone = each.tone;
        text(parts.title, each.title);
        text(parts.words, each.words);
        parts.act = each.action?.[1];
        text(parts.action, each.action?.[0] ?? "");
        toggle(parts.action, Boolean(each.action));
        toggle(parts.close, !each.keep);
      },
    );
  }

  #build({ id }) {
    const parts = {
      title: h("strong"),
      words: h("span"),
      action: h("button", { type: "button", onclick: () => parts.act?.() }),
      close: h("button", { type: "button", onclick: () => this.clear(id) }, "Dismiss"),
    };
    const node = h(
      "div",
      { class: "notice", data: { notice: id } },
      sign("alert"),
      h("p", {}, parts.title, " ", parts.words),
      parts.action,
      parts.close,
    );
    node.parts = parts;
    return node;
  }
}

// The tiles of the overview.

import { $, h, keyed, sign, text, toggle } from "./dom.js";
import { when } from "./format.js";
import { counts, large, WINDOWS } from "./metrics.js";
import { segments } from "./segments.js";

export class Tiles {
  #numbers = null;
  #window;

  /** `choose(window)` is called when the reader chooses another one; `currency()` names that of the payments. */
  constructor({ window, choose, currency }) {
    this.#window = window;
    this.currency = currency;
    this.choice = segments(
      $("window"),
      WINDOWS.map(([name, label]) => [name, label]),
      window,
      (name) => {
        this.#window = name;
        choose(name);
        this.paint();
      },
    );
  }

  set(numbers) {
    this.#numbers = numbers;
  }

  setWindow(window) {
    this.#window = window;
    this.choice(window);
  }

  paint() {
    const numbers = this.#numbers;
    const metrics = numbers?.data?.metrics;
    toggle($("tiles"), Boolean(metrics));
    toggle($("counts"), Boolean(metrics));
    text($("metrics-as-of"), this.#note());
    if (!metrics) return;
    keyed($("tiles"), large(metrics, this.#window, this.currency()), (tile) => tile.name, build, update);
    keyed($("counts"), counts(metrics), (tile) => tile.name, build, update);
  }

  #note() {
    if (!this.#numbers?.data) return "Being counted …";
    const moment = when(this.#numbers.asOf);
    return this.#numbers.complete
      ? `Everybody's payments, counted at ${moment}`
      : `Being counted anew; these are of ${moment}`;
  }
}

function build(tile) {
  const parts = {
    label: h("span"),
    window: h("span"),
    value: h("span", { class: "number" }),
    more: h("dd", { class: "more" }),
  };
  parts.flag = h("span", { class: "flag" }, sign("alert"), (parts.flagText = h("span")));
  parts.means = h("dd", { class: "means" });
  const node = h(
    "div",
    { class: "tile", data: { metric: tile.name } },
    h("dt", {}, parts.label, parts.window),
    h("dd", { class: "value" }, parts.value, parts.flag),
    parts.more,
    parts.means,
  );
  node.parts = parts;
  return node;
}

function update(node, tile) {
  const { parts } = node;
  text(parts.label, tile.label);
  text(parts.window, tile.window);
  text(parts.value, tile.value);
  text(parts.more, tile.more);
  text(parts.means, tile.means);
  text(parts.flagText, tile.flag ?? "");
  toggle(parts.flag, Boolean(tile.flag));
  toggle(parts.more, Boolean(tile.more));
  if (tile.tone) node.dataset.tone = tile.tone;
  else delete node.dataset.tone;
}

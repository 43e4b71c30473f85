// The warning that payments fail unusually often.

import { $, h, keyed, sign, text, toggle } from "./dom.js";
import { clock, integer, percent } from "./format.js";
import { RECENT_MINUTES } from "./spike.js";

const REASONS = 4;

export class SpikeBanner {
  #shown = false;

  /** `verdict()`: what the watch thinks now; `look()`: show the failed payments. */
  constructor({ verdict, look, announce }) {
    Object.assign(this, { verdict, announce });
    this.title = h("h2", { id: "spike-title" });
    this.reasons = h("ul");
    this.means = h("p", { class: "means" });
    $("spike").append(
      sign("alert"),
      h("div", {}, this.title, this.reasons, this.means),
      h("button", { type: "button", onclick: look }, "Show failed"),
    );
  }

  paint() {
    const found = this.verdict();
    toggle($("spike"), found.spiking);
    if (found.spiking !== this.#shown) {
      this.#shown = found.spiking;
      if (found.spiking) this.announce("Warning: unusually many payments fail");
    }
    if (!found.spiking) return;
    text(
      this.title,
      `${percent(found.rate, 0)} of payments failed in the last ${RECENT_MINUTES} minutes; ` +
        `usual is ${percent(found.base, 0)}`,
    );
    keyed(
      this.reasons,
      found.reasons.slice(0, REASONS),
      ([why]) => why,
      () => h("li", {}, h("b"), " ", h("span")),
      (node, [why, n]) => {
        text(node.firstChild, `${integer(n)}×`);
        text(node.lastChild, why);
      },
    );
    text(
      this.means,
      `${integer(found.failed)} of ${integer(found.decided)} that were decided, as this page saw them, ` +
        `since ${clock(found.since, false)}. ` +
        "Warned of from twice the usual and ten points more, until it was calm for five minutes.",
    );
  }
}

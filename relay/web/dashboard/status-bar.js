// The top of the page: whether what is shown can be trusted, and since when not.

import { $, text, toggle } from "./dom.js";
import { describe } from "./status.js";

export class StatusBar {
  #status = null;
  #said = "";

  /** `freshness` knows the age of what is shown, `comeback` what was missed. */
  constructor({ freshness, comeback, reconnect, signOut }) {
    Object.assign(this, { freshness, comeback });
    $("reconnect").addEventListener("click", reconnect);
    $("sign-out").addEventListener("click", signOut);
  }

  set(status) {
    this.#status = status;
    this.comeback.status(status, Date.now());
  }

  paint() {
    const status = this.#status;
    if (!status) return;
    const now = Date.now();
    const told = describe(status, this.freshness.age(now), now);
    const state = $("state");
    if (state.dataset.state !== told.state) state.dataset.state = told.state;
    if (state.dataset.tone !== told.tone) state.dataset.tone = told.tone;
    text($("state-label"), told.label);
    const back = told.state === "live" ? this.comeback.words(now) : "";
    text($("state-detail"), [told.detail, back].filter(Boolean).join(" · "));
    text($("as-of"), told.asOf);
    toggle($("reconnect"), told.reconnect);
    document.title = `${["live", "catching-up"].includes(told.state) ? "" : `(${told.label}) `}Payments, live`;
    document
      .getElementById("main")
      .classList.toggle("behind", ["stale", "signed-out", "closed", "late"].includes(told.state));
    this.#announce(told);
  }

  // Only when the state changes: an age that ticks would never let a screen reader finish.
  #announce({ state, label }) {
    if (state === this.#said) return;
    this.#said = state;
    text($("announce"), state === "connecting" ? "" : label);
  }
}

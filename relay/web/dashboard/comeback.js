// What was missed while the connection was gone, told for a while once it is back. Pure.

import { count } from "./format.js";

const TOLD_MS = 15_000;

export class Comeback {
  #away = false;
  #changes = 0;
  #anew = false;
  #told = { words: "", until: 0 };

  /** The client's status changed, at `now` in milliseconds. */
  status({ state }, now) {
    if (state === "stale" && !this.#away) {
      [this.#away, this.#changes, this.#anew] = [true, 0, false];
    } else if (state === "live" && this.#away) {
      this.#away = false;
      const words = this.#anew
        ? "synchronised anew"
        : this.#changes
          ? `caught up with ${count(this.#changes, "change")}`
          : "nothing was missed";
      this.#told = { words, until: now + TOLD_MS };
    }
  }

  /** A change came. */
  change() {
    if (this.#away) this.#changes += 1;
  }

  /** What was missed cannot be told one by one: everything came anew. */
  reset() {
    this.#anew ||= this.#away;
  }

  /** What to say at `now`; "" most of the time. */
  words(now) {
    return now < this.#told.until ? this.#told.words : "";
  }
}

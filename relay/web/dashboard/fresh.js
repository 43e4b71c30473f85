// Which rows changed a moment ago. Pure, and bounded.

const SHOWN_MS = 6000;
const MOST = 200;
const CROWD = 25; // rows that change at once, above which nothing flashes: a page that flickers all over says nothing

export class Fresh {
  #rows = new Map(); // id -> {at, times, action}
  #times = 0;

  get size() {
    return this.#rows.size;
  }

  /** `touched`: by id {action}, from the live list. */
  add(touched, now = performance.now()) {
    const crowd = touched.size > CROWD;
    for (const [id, { action }] of touched) {
      this.#rows.delete(id);
      this.#rows.set(id, { at: now, turn: ++this.#times, action, crowd });
    }
    while (this.#rows.size > MOST) this.#rows.delete(this.#rows.keys().next().value);
  }

  /** What is still fresh at `now`: by id {turn, action, crowd}. */
  look(now) {
    for (const [id, { at }] of this.#rows) {
      if (now - at < SHOWN_MS) break; // in the order of time
      this.#rows.delete(id);
    }
    return this.#rows;
  }
}

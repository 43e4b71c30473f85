// How old what is shown is, though nobody's clock is right.
//
// `asOf` is by the clock of the database, and the reader's clock may be minutes away from it. What is known for sure
// is how long ago it was heard, and how much later it came than the quickest answer so far: the least difference
// between the two clocks ever seen is taken for the difference itself.

/** Remembers when each `asOf` was heard. Times are milliseconds. */
export class Freshness {
  #offset = Infinity; // local clock minus database clock, as small as it was ever seen
  #asOf = null;
  #moment = 0;

  /** `asOf` (ISO 8601) was heard at `now`. */
  hear(asOf, now) {
    if (!asOf || asOf === this.#asOf) return;
    this.#asOf = asOf;
    this.#moment = Date.parse(asOf);
    this.#offset = Math.min(this.#offset, now - this.#moment);
  }

  get asOf() {
    return this.#asOf;
  }

  /** How long ago what is shown was complete; null before anything was. */
  age(now) {
    return this.#asOf === null ? null : Math.max(0, this.now(now) - this.#moment);
  }

  /** What the clock of the database says, as far as it is known. */
  now(local) {
    return Number.isFinite(this.#offset) ? local - this.#offset : local;
  }
}

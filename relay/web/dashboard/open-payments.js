// Payments that have neither worked nor failed: which of them have been so for too long. Pure, and bounded.

import { isOpen } from "./tone.js";

export const STUCK_MINUTES = 60;
const MOST = 2000;

export class OpenPayments {
  #rows = new Map();

  get size() {
    return this.#rows.size;
  }

  seed(rows) {
    this.#rows.clear();
    for (const row of rows) this.#put(row);
  }

  /** One event of the client. */
  event({ row, gone }) {
    this.#rows.delete(row.id);
    if (!gone) this.#put(row);
  }

  #put(row) {
    if (!isOpen(row.status)) return;
    this.#rows.set(row.id, row);
    // The newest goes: those that have been waiting longest are what this is about.
    if (this.#rows.size > MOST)
      this.#rows.delete([...this.#rows.values()].reduce((a, b) => (a.created_at > b.created_at ? a : b)).id);
  }

  /** Those that have been open for longer than the limit at `now` (milliseconds), the oldest first. */
  stuck(now) {
    const edge = now - STUCK_MINUTES * 60_000;
    return [...this.#rows.values()]
      .filter((row) => Date.parse(row.created_at) < edge)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }
}

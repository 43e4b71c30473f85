// Whether payments fail unusually often just now. Pure, and bounded: it keeps counts by the minute, never the rows.

import { outcome } from "./tone.js";

const MINUTE = 60_000;
export const RECENT_MINUTES = 15;
const KEEP_MINUTES = 24 * 60;
const LEAST_FAILED = 5;
const LEAST_BASE = 20; // decided payments, below which the past says nothing
const USUAL = 10; // percent, where there is no past
const CALM_MINUTES = 5; // a warning stays until it was calm for so long, so that it does not flicker
const MOST_REASONS = 12;

/** Counts what became of payments, from rows and from events. */
export class FailureWatch {
  #minutes = new Map(); // number of the minute -> {decided, failed, reasons}
  #since = null;
  #calm = null;

  /** Begin anew with the rows of a snapshot. */
  seed(rows) {
    this.#minutes.clear();
    for (const row of rows) this.#add(row, row.updated_at ?? row.created_at);
  }

  /** One event of the client. A refund of what had worked, or an edit of what had failed, decides nothing. */
  event({ row, action, previousStatus, timestamp }) {
    const decided = outcome(row.status);
    if (!decided || (action !== "created" && action !== "status_changed")) return;
    if (action === "status_changed" && outcome(previousStatus) === decided) return;
    this.#add(row, timestamp);
  }

  /**
   * {spiking, since, failed, decided, rate, base, reasons: [[words, count]]}, rates in percent, `now` and `since` in
   * milliseconds. `usual`: the rate of failure over a longer time, where it is known.
   */
  verdict(now, usual = null) {
    const edge = Math.floor(now / MINUTE) - RECENT_MINUTES;
    const recent = { decided: 0, failed: 0 };
    const past = { decided: 0, failed: 0 };
    const reasons = new Map();
    for (const [minute, counts] of this.#minutes) {
      if (minute < edge + RECENT_MINUTES - KEEP_MINUTES) {
        this.#minutes.delete(minute);
        continue;
      }
      const sum = minute > edge ? recent : past;
      sum.decided += counts.decided;
      sum.failed += counts.failed;
      if (sum === recent) for (const [why, n] of counts.reasons) reasons.set(why, (reasons.get(why) ?? 0) + n);
    }
    const rate = share(recent);
    const base = past.decided >= LEAST_BASE ? share(past) : (usual ?? USUAL);
    const high = recent.failed >= LEAST_FAILED && rate >= Math.max(2 * base, base + 10);
    this.#hold(high, now);
    return { spiking: this.#since !== null, since: this.#since, ...recent, rate, base, reasons: ranked(reasons) };
  }

  #hold(high, now) {
    if (high) {
      this.#since ??= now;
      this.#calm = null;
    } else if (this.#since !== null) {
      this.#calm ??= now;
      if (now - this.#calm >= CALM_MINUTES * MINUTE) this.#since = this.#calm = null;
    }
  }

  #add(row, moment) {
    const decided = outcome(row.status);
    const minute = Math.floor(Date.parse(moment) / MINUTE);
    if (!decided || Number.isNaN(minute)) return;
    let counts = this.#minutes.get(minute);
    if (!counts) this.#minutes.set(minute, (counts = { decided: 0, failed: 0, reasons: new Map() }));
    counts.decided += 1;
    if (decided !== "failed") return;
    counts.failed += 1;
    const why = reason(row);
    if (counts.reasons.has(why) || counts.reasons.size < MOST_REASONS)
      counts.reasons.set(why, (counts.reasons.get(why) ?? 0) + 1);
  }
}

/** Why a payment failed, as far as it is told. */
export const reason = (row) => row.failure_reason || row.metadata?.error_message || "No reason given";

const share = ({ decided, failed }) => (decided ? (100 * failed) / decided : 0);
const ranked = (reasons) => [...reasons].sort((a, b) => b[1] - a[1]);

// Stuck payments: open for too long, the most common failure that nobody sees.

import { $, text } from "./dom.js";
import { integer, money, span, words } from "./format.js";
import { customer } from "./list-view.js";
import { STUCK_MINUTES } from "./open-payments.js";
import { Queue, twoLines } from "./queue.js";

export class Stuck {
  /** `payments`: the open ones; `total()`: how many the relay counts, undefined if it is not told. */
  constructor({ payments, total, open, mark, now }) {
    Object.assign(this, { payments, total, now });
    this.queue = new Queue($("stuck"), {
      title: "Stuck payments",
      empty: "No payment has been open for too long.",
      build: twoLines,
      update: (button, row) => this.#item(button, row),
      open,
      mark,
    });
  }

  paint() {
    const rows = this.payments.stuck(this.now());
    const total = Math.max(this.total() ?? 0, rows.length);
    const missing = total - rows.length;
    this.queue.show(rows, {
      tone: "warn",
      total,
      sub: `open for more than ${STUCK_MINUTES} min`,
      note:
        missing > 0
          ? `${rows.length ? "And " : ""}${integer(missing)} older than the payments that this page was given.`
          : "",
    });
  }

  #item(button, row) {
    const { parts } = button;
    text(parts.first, customer(row) || `Payment ${row.id}`);
    text(parts.right, money(row.amount, row.currency));
    text(parts.second, words(row.status));
    if (parts.due.dataset.tone !== "warn") parts.due.dataset.tone = "warn";
    text(parts.due, `for ${span(this.now() - Date.parse(row.created_at))}`);
  }
}

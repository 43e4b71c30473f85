// Disputes by deadline: a deadline that passes is money lost.

import { $, sign, text } from "./dom.js";
import { money, span, words } from "./format.js";
import { Queue, twoLines } from "./queue.js";
import { openRows } from "./open-rows.js";
import { byDeadline, deadline, needsAnswer, OPEN } from "./deadline.js";

export class Disputes {
  #list = null;

  constructor({ open, mark, now }) {
    this.now = now;
    this.mark = mark;
    this.queue = new Queue($("disputes"), {
      title: "Disputes",
      empty: "No dispute is open.",
      build: twoLines,
      update: (button, row) => this.#item(button, row),
      open,
      mark,
    });
  }

  attach(client, onEvent) {
    this.#list = openRows(client, "disputes", OPEN, { sort: byDeadline, onEvent }, () => this.mark());
  }

  get rows() {
    return this.#list?.rows ?? [];
  }

  get withheld() {
    return this.#list?.withheld ?? 0;
  }

  get overdue() {
    return this.rows.filter((row) => deadline(row, this.now()).overdue).length;
  }

  paint() {
    if (!this.#list) return;
    const rows = this.rows;
    const waiting = rows.filter(needsAnswer);
    const risk = rows.reduce((sum, row) => sum + Number(row.amount), 0);
    const sub = rows.length ? `${money(risk.toFixed(2), rows[0].currency)} at risk` : "";
    this.queue.show(rows, { tone: this.overdue ? "bad" : waiting.length ? "warn" : "busy", sub });
  }

  #item(button, row) {
    const { parts } = button;
    const due = deadline(row, this.now());
    text(parts.first, words(row.reason));
    text(parts.right, money(row.amount, row.currency));
    text(parts.second, [row.customer_email, words(row.status)].filter(Boolean).join(" · "));
    const tone = due.tone ?? "";
    if (parts.due.dataset.tone !== tone) parts.due.dataset.tone = tone;
    const label =
      due.left === null ? due.label : due.overdue ? `overdue by ${span(-due.left)}` : `${span(due.left)} left`;
    if (parts.due.textContent !== label)
      parts.due.replaceChildren(...(due.overdue || due.soon ? [sign("alert")] : []), label);
  }
}

// The fraud queue: the highest score first, and of the same score the oldest.

import { $, h, text } from "./dom.js";
import { money, span, words } from "./format.js";
import { openRows } from "./open-rows.js";
import { Queue } from "./queue.js";
import { risk } from "./tone.js";

const OPEN = ["active", "investigating"];

export class Fraud {
  #list = null;

  constructor({ open, mark, now }) {
    this.now = now;
    this.mark = mark;
    this.queue = new Queue($("fraud"), {
      title: "Fraud alerts",
      empty: "No alert is open.",
      build,
      update: (button, row) => this.#item(button, row),
      open,
      mark,
    });
  }

  attach(client, onEvent) {
    this.#list = openRows(client, "fraud_alerts", OPEN, { sort: ["-risk_score", "created_at"], onEvent }, () =>
      this.mark(),
    );
  }

  get rows() {
    return this.#list?.rows ?? [];
  }

  get withheld() {
    return this.#list?.withheld ?? 0;
  }

  paint() {
    if (!this.#list) return;
    const unseen = this.rows.filter((row) => row.status === "active").length;
    const worst = this.rows[0] ? risk(this.rows[0].risk_score).tone : "quiet";
    this.queue.show(this.rows, { tone: worst, sub: this.rows.length ? `${unseen} not looked at yet` : "" });
  }

  #item(button, row) {
    const { parts } = button;
    const { tone, label } = risk(row.risk_score);
    if (parts.box.dataset.tone !== tone) parts.box.dataset.tone = tone;
    text(parts.score, Math.round(row.risk_score));
    text(parts.level, label);
    text(parts.first, words(row.alert_type));
    text(parts.right, row.amount ? money(row.amount, row.currency) : "");
    text(parts.second, [words(row.status), row.customer_email].filter(Boolean).join(" · "));
    text(parts.due, span(this.now() - Date.parse(row.created_at)));
  }
}

function build() {
  const parts = {};
  const part = (name, tag = "span") => (parts[name] = h(tag, { class: name }));
  parts.box = h("span", { class: "score-box" }, part("score", "b"), part("level", "i"));
  const button = h(
    "button",
    { type: "button", class: "item score" },
    parts.box,
    part("first"),
    part("right"),
    part("second"),
    part("due"),
  );
  button.parts = parts;
  return button;
}

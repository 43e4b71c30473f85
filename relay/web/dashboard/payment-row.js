// One row of the list, built once and brought up to date cell by cell.

import { attribute, h, keyed, sign, text } from "./dom.js";
import { money, tail, when, words } from "./format.js";
import { COLUMNS, customer, plan } from "./list-view.js";
import { reason } from "./spike.js";
import { badge, setBadge } from "./badge.js";

/** The headings: buttons that sort. */
export function headings(parent, sort, press) {
  const [column, down] = [sort.replace(/^-/, ""), sort.startsWith("-")];
  keyed(
    parent,
    COLUMNS,
    ([name]) => name,
    ([name, heading]) =>
      h(
        "th",
        { scope: "col", data: { column: name } },
        h("button", { type: "button", onclick: () => parent.press(name) }, heading, sign("up")),
      ),
    (node, [name]) => attribute(node, "aria-sort", name === column ? (down ? "descending" : "ascending") : null),
  );
  parent.press = press;
}

export class PaymentRow {
  #words = [];
  #fresh = new Map();
  #now = 0;
  #version = 0;

  constructor(open) {
    this.open = open;
  }

  /** Before rows are brought up to date: what is searched for, and what is fresh. */
  prepare(query, fresh) {
    const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.join() !== this.#words.join()) this.#version++;
    this.#words = wanted;
    this.#fresh = fresh;
    this.#now = new Date().toDateString();
  }

  build = (row) => {
    const cell = {};
    const node = h(
      "tr",
      { data: { id: row.id } },
      COLUMNS.map(([name]) => (cell[name] = h("td", { data: { column: name } }))),
    );
    cell.name = cell.customer.appendChild(h("span"));
    cell.email = cell.customer.appendChild(h("small"));
    cell.what = cell.plan.appendChild(h("span"));
    cell.why = cell.plan.appendChild(h("small"));
    cell.badge = cell.status.appendChild(badge());
    cell.news = cell.status.appendChild(h("span", { class: "news" }));
    cell.button = cell.intent.appendChild(h("button", { type: "button" }));
    node.addEventListener("click", () => {
      if (String(getSelection()) === "") this.open(node.row);
    });
    node.cell = cell;
    return node;
  };

  update = (node, row) => {
    this.#freshen(node, this.#fresh.get(row.id));
    // A row that did not change is the same object: nothing to compare, however long the list.
    if (node.row === row && node.version === this.#version && node.day === this.#now) return;
    Object.assign(node, { row, version: this.#version, day: this.#now });
    const { cell } = node;
    text(cell.created_at, when(row.created_at));
    this.#found(cell.name, customer(row) || "–");
    this.#found(cell.email, row.customer_name && row.customer_email ? row.customer_email : "");
    this.#found(cell.what, words(plan(row)));
    this.#found(
      cell.why,
      row.status === "failed" ? reason(row) : row.metadata?.plan_name ? words(row.transaction_type) : "",
    );
    this.#found(cell.amount, money(row.amount, row.currency));
    setBadge(cell.badge, row.status, row.status_display);
    text(cell.button, tail(row.payment_intent_id || `#${row.id}`));
    attribute(cell.button, "aria-label", `History of payment ${row.id}, ${tail(row.payment_intent_id)}`);
  };

  #freshen(node, fresh) {
    if (node.turn === fresh?.turn) return;
    node.turn = fresh?.turn;
    // Alternating values start the animation anew when a row changes twice.
    attribute(node, "data-fresh", fresh ? (fresh.crowd ? "crowd" : fresh.turn % 2 ? "once" : "again") : null);
    text(node.cell.news, fresh ? (fresh.action === "created" ? "new" : "changed") : "");
  }

  #found(node, value) {
    const low = value.toLowerCase();
    const hits = this.#words
      .map((word) => [low.indexOf(word), word.length])
      .filter(([at]) => at >= 0)
      .sort((a, b) => a[0] - b[0]);
    if (!hits.length) return text(node, value);
    const parts = [];
    let done = 0;
    for (const [at, length] of hits) {
      if (at < done) continue;
      parts.push(value.slice(done, at), h("mark", {}, value.slice(at, at + length)));
      done = at + length;
    }
    node.replaceChildren(...parts, value.slice(done));
  }
}

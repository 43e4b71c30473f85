// The live list of payments: what is shown of it, in which order, and holding still while somebody reads.

import { liveList } from "../client/list.js";
import { $, attribute, h, keyed, text, toggle } from "./dom.js";
import { clock, count, integer } from "./format.js";
import { Fresh } from "./fresh.js";
import { ORDERS, order, read, turn, where, write } from "./list-view.js";
import { saveCsv } from "./csv.js";
import { headings, PaymentRow } from "./payment-row.js";
import { meaning } from "./tone.js";

const KEEP = 500;
const NARROW = matchMedia("(max-width: 40rem)");
const STATUSES = ["pending", "processing", "succeeded", "failed", "refunded", "canceled"];

export class Payments {
  #list = null;
  #wish;
  #fresh = new Fresh();
  #shown;
  #seen = new Map(STATUSES.map((status) => [status, ""])); // what the channel calls each, as far as it was seen
  #paused = false; // by the button
  #held = false; // because somebody reads further down

  /** `settings`: from the address; `changed(settings)`: the reader wants others; `open(row)`: show its history. */
  constructor({ settings, changed, open, mark }) {
    this.changed = changed;
    this.mark = mark;
    this.open = open;
    this.#wish = read(settings);
    this.#shown = this.#page;
    this.row = new PaymentRow(open);
    this.#controls();
  }

  get #page() {
    return NARROW.matches ? 12 : 50;
  }

  get #step() {
    return NARROW.matches ? 25 : 50;
  }

  get currency() {
    return this.#list?.rows[0]?.currency;
  }

  get withheld() {
    return this.#list?.withheld ?? 0;
  }

  get rows() {
    return this.#list?.rows ?? [];
  }

  find(id) {
    return this.#list?.get(id);
  }

  attach(client) {
    this.#list = liveList(
      client,
      "transactions",
      {
        limit: KEEP,
        snapshot: KEEP,
        throttleMs: 200,
        sort: order(this.#wish.sort),
        where: where(this.#wish),
      },
      (_, change) => {
        if (!change.replaced) this.#fresh.add(change.touched);
        this.mark();
      },
    );
  }

  /** The address was changed by hand. */
  apply(settings) {
    this.#wish = read(settings);
    $("search").value = this.#wish.query;
    $("sort").value = this.#wish.sort;
    this.#show();
  }

  #wants(wish) {
    Object.assign(this.#wish, wish);
    this.changed(write(this.#wish));
    this.#show();
  }

  #show() {
    this.#shown = this.#page;
    $("payments-scroll").scrollTop = 0;
    this.#hold(false);
    // Whoever asks for another view while the list is held still gets it, of what is there now.
    this.#list?.resume();
    this.#list?.set({ sort: order(this.#wish.sort), where: where(this.#wish) });
    this.#still();
  }

  #controls() {
    const search = $("search");
    search.value = this.#wish.query;
    search.addEventListener("input", () => this.#wants({ query: search.value }));
    const sort = $("sort");
    sort.append(...ORDERS.map(([value, label]) => h("option", { value }, label)));
    sort.value = this.#wish.sort;
    sort.addEventListener("change", () => this.#wants({ sort: sort.value }));
    $("pause").addEventListener("click", () => this.#pause(!this.#paused));
    $("fresh").addEventListener("click", () => {
      $("payments-scroll").scrollTop = 0;
      this.#hold(false);
    });
    const scroll = $("payments-scroll");
    scroll.addEventListener("scroll", () => this.#hold(scroll.scrollTop > 40), { passive: true });
    NARROW.addEventListener("change", () => this.mark());
  }

  #pause(paused) {
    this.#paused = paused;
    this.#still();
  }

  // New rows on top would push what is being read out of sight: as long as somebody has scrolled, they wait.
  #hold(held) {
    if (held === this.#held) return;
    this.#held = held;
    this.#still();
  }

  #still() {
    if (!this.#list) return;
    const still = this.#paused || this.#held;
    if (still && !this.#list.paused) this.#list.pause();
    if (!still && this.#list.paused) this.#list.resume();
    this.mark();
  }

  paint() {
    const list = this.#list;
    if (!list) return;
    const now = performance.now();
    const rows = list.rows.slice(0, this.#shown);
    for (const row of list.rows) if (!this.#seen.get(row.status)) this.#seen.set(row.status, row.status_display ?? "");
    headings($("columns"), this.#wish.sort, (column) => this.#wants({ sort: turn(this.#wish.sort, column) }));
    this.#chips();
    this.row.prepare(this.#wish.query, this.#fresh.look(now), now);
    keyed($("rows"), rows, (row) => row.id, this.row.build, this.row.update);
    this.#pausing(list);
    this.#foot(list, rows);
  }

  #chips() {
    const pressed = this.#wish.statuses;
    keyed(
      $("statuses"),
      [...this.#seen.keys()],
      (status) => status,
      (status) => h("button", { type: "button", class: "chip", data: { status }, onclick: () => this.#toggle(status) }),
      (node, status) => {
        text(node, meaning(status, this.#seen.get(status)).label);
        attribute(node, "aria-pressed", String(pressed.has(status)));
      },
    );
  }

  #toggle(status) {
    const statuses = new Set(this.#wish.statuses);
    if (!statuses.delete(status)) statuses.add(status);
    this.#wants({ statuses });
  }

  #pausing(list) {
    const pause = $("pause");
    attribute(pause, "aria-pressed", String(this.#paused));
    text(pause, this.#paused ? `Resume${list.pending ? ` · ${integer(list.pending)} new` : ""}` : "Pause");
    const fresh = $("fresh");
    toggle(fresh, this.#held && !this.#paused && list.pending > 0);
    text(fresh, `${count(list.pending, "payment")} new or changed above. Show`);
  }

  #foot(list, rows) {
    const filtered = Boolean(where(this.#wish));
    const loading = list.state !== "live" && !list.rows.length;
    toggle($("payments-empty"), !rows.length);
    text(
      $("payments-empty"),
      loading
        ? "Waiting for payments …"
        : filtered
          ? "No payment here matches. Widen the filter or the search."
          : "No payments yet. Every one appears here as it is committed.",
    );
    text(
      $("payments-sub"),
      this.#paused
        ? "Paused; changes go on behind"
        : filtered
          ? `${count(list.rows.length, "match", "matches")} among the newest payments`
          : "As they are committed",
    );
    const foot = $("payments-foot");
    const more = list.rows.length - rows.length;
    keyed(
      foot,
      ["note", more > 0 && "more", filtered && "clear", rows.length > 0 && "csv"].filter(Boolean),
      (name) => name,
      (name) => this.#footPart(name),
      (node, name) => {
        if (name === "note")
          text(
            node,
            `${integer(rows.length)} of ${integer(list.rows.length)} shown. ` +
              `This page keeps ${list.partial ? "" : "the newest "}${integer(KEEP)} at most; times are yours.`,
          );
        if (name === "more") text(node, `Show ${integer(Math.min(more, this.#step))} more`);
      },
    );
  }

  #footPart(name) {
    if (name === "note") return h("span");
    const [label, act] = {
      more: ["", () => ((this.#shown += this.#step), this.mark())],
      clear: ["Clear filters", () => (($("search").value = ""), this.#wants({ statuses: new Set(), query: "" }))],
      csv: ["Save as CSV", () => saveCsv(this.#list.rows, `payments-${clock(Date.now()).replaceAll(":", "")}.csv`)],
    }[name];
    return h("button", { type: "button", class: "plain", onclick: act }, label);
  }
}

// One row in full: its fields, its history as this page saw it, and what belongs to it.

import { $, h, sign } from "./dom.js";
import { money, when, words } from "./format.js";
import { badge } from "./badge.js";
import { meaning } from "./tone.js";

const TITLES = { transactions: "Payment", disputes: "Dispute", fraud_alerts: "Fraud alert" };
const HIDDEN = new Set(["amount", "currency", "status", "status_display", "id"]);
const TIME = /^\d{4}-\d\d-\d\dT/;

export class Detail {
  #channel = "";
  #id = "";
  #drawn = "";

  /**
   * `find(channel, id)`: the row now; `related(channel, row)`: [{channel, row}]; `began()`: since when this page has been
   * watching.
   */
  constructor({ find, related, history, began }) {
    Object.assign(this, { find, related, history, began });
    this.dialog = $("detail");
    this.sheet = h("div", { class: "sheet" });
    this.dialog.append(this.sheet);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => ((this.#id = ""), (this.#drawn = "")));
  }

  open(channel, row) {
    [this.#channel, this.#id, this.last, this.#drawn] = [channel, row.id, row, ""];
    if (!this.dialog.open) this.dialog.showModal();
    this.paint();
    this.dialog.scrollTop = 0;
  }

  paint() {
    if (!this.#id) return;
    const found = this.find(this.#channel, this.#id);
    const row = (this.last = found ?? this.last);
    const told = this.history.tell(this.#channel, row);
    const related = this.related(this.#channel, row);
    const drawing = JSON.stringify([row, told, related, Boolean(found)]);
    if (drawing === this.#drawn) return; // buttons keep their focus while nothing changes
    const focused = this.#drawn !== "" && this.sheet.contains(document.activeElement);
    this.#drawn = drawing;
    this.sheet.replaceChildren(this.#header(row), this.#timeline(told), ...this.#related(related), this.#fields(row));
    if (!found)
      this.sheet.append(h("p", { class: "hint" }, "It is not in the list any more; this is how it was seen last."));
    if (focused) this.sheet.querySelector(".close").focus();
  }

  #header(row) {
    const large = row.amount ? money(row.amount, row.currency) : words(row.alert_type ?? row.reason ?? row.id);
    const close = h(
      "button",
      { type: "button", class: "plain close", autofocus: true, onclick: () => this.dialog.close() },
      "Close",
    );
    return h(
      "header",
      {},
      h("h2", { id: "detail-title" }, `${TITLES[this.#channel] ?? words(this.#channel)} ${row.id}`),
      close,
      h("p", { class: "large" }, h("span", {}, large), badge(row.status)),
    );
  }

  #timeline(told) {
    const steps = told.map((step) => this.#step(step));
    return h(
      "section",
      {},
      h("h3", {}, "History"),
      h("ol", { class: "timeline" }, steps),
      h(
        "p",
        { class: "hint" },
        `This page has been watching since ${when(this.began())}. ` +
          "Of what was before, only what the row itself says is known.",
      ),
    );
  }

  #step({ at, kind, status, previous, changed }) {
    const shown =
      kind === "gap" ? { tone: "warn", sign: "spin" } : status ? meaning(status) : { tone: "quiet", sign: "dot" };
    const name = (each) => meaning(each).label;
    const what =
      {
        begun: "Begun",
        found: status && name(status),
        created: status ? `Created as ${name(status).toLowerCase()}` : "Created",
        status_changed: name(status),
        evidence_required: "Evidence required",
        resolved: name(status),
        deleted: "Deleted",
        gap: "Synchronised anew",
        left: "Left this list",
      }[kind] ?? (previous && previous !== status ? name(status) : "Updated");
    const why =
      kind === "gap"
        ? "Changes around this moment may be missing here."
        : kind === "found"
          ? "already so when this page first saw it"
          : [
              previous && previous !== status ? `was ${name(previous).toLowerCase()}` : "",
              kind === "updated" && changed?.length
                ? changed.map((field) => words(field).toLowerCase()).join(", ")
                : "",
            ]
              .filter(Boolean)
              .join(" · ");
    const knot = h("span", { class: "knot", data: { tone: shown.tone } }, sign(shown.sign));
    return h(
      "li",
      { class: kind, data: { kind } },
      knot,
      h("span", { class: "what" }, what),
      h("time", { datetime: at }, when(at)),
      why && h("span", { class: "why" }, why),
    );
  }

  #related(related) {
    if (!related.length) return [];
    const items = related.map(({ channel, row }) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "item", onclick: () => this.open(channel, row) },
          h(
            "span",
            { class: "first" },
            `${TITLES[channel]}: ${words(row.reason ?? row.alert_type ?? row.customer_name ?? row.id)}`,
          ),
          h("span", { class: "right" }, money(row.amount, row.currency)),
          h("span", { class: "second" }, when(row.created_at)),
          badge(row.status),
        ),
      ),
    );
    return [h("section", {}, h("h3", {}, "Belongs to it"), h("ul", { class: "queue" }, items))];
  }

  #fields(row) {
    const list = h("dl", { class: "fields" });
    const add = (name, value) => {
      if (value === null || value === undefined || value === "") return;
      if (typeof value === "object" && !Array.isArray(value))
        return Object.entries(value).forEach(([key, each]) => add(key, each));
      list.append(
        h("dt", {}, words(name)),
        h(
          "dd",
          {},
          typeof value === "string" && TIME.test(value)
            ? `${when(value)}`
            : typeof value === "boolean"
              ? value
                ? "yes"
                : "no"
              : String(value),
        ),
      );
    };
    for (const [name, value] of Object.entries(row)) if (!HIDDEN.has(name)) add(name, value);
    return h("section", {}, h("h3", {}, "Details"), list);
  }
}

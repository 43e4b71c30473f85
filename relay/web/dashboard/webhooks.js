// Webhooks: how each endpoint does, and what it was sent.

import { liveList } from "../client/list.js";
import { $, h, keyed, text, toggle } from "./dom.js";
import { integer, span, when } from "./format.js";
import { badge, setBadge } from "./badge.js";

const SHOWN = 8;

export class Webhooks {
  #events = null;
  #health = null;

  constructor({ mark, now }) {
    this.mark = mark;
    this.now = now;
    this.endpoints = h("div");
    this.list = h("ol", { class: "events" });
    this.nothing = h("p", { class: "empty" }, "No webhook event yet.");
    this.sub = h("p", { class: "sub" });
    $("webhooks").append(
      h("div", { class: "head" }, h("h2", { id: "webhooks-title" }, "Webhooks"), this.sub),
      this.endpoints,
      this.list,
      this.nothing,
    );
  }

  attachEvents(client, onEvent) {
    this.#events = liveList(
      client,
      "webhooks",
      { limit: 50, sort: ["-received_at", "-id"], throttleMs: 200, onEvent },
      () => this.mark(),
    );
  }

  setHealth(numbers) {
    this.#health = numbers;
  }

  get withheld() {
    return this.#events?.withheld ?? 0;
  }

  paint() {
    const endpoints = Object.values(this.#health?.data ?? {});
    keyed(
      this.endpoints,
      endpoints,
      (each) => each.endpoint_url,
      buildEndpoint,
      (node, each) => this.#endpoint(node, each),
    );
    text(this.sub, this.#health && !this.#health.complete ? "being counted …" : "");
    toggle(this.list, Boolean(this.#events?.rows.length));
    toggle(this.nothing, Boolean(this.#events) && !this.#events.rows.length);
    if (this.#events) keyed(this.list, this.#events.rows.slice(0, SHOWN), (row) => row.id, buildEvent, updateEvent);
  }

  #endpoint(node, each) {
    const { parts } = node;
    text(parts.url, each.endpoint_url);
    setBadge(parts.badge, each.is_healthy ? "healthy" : "unhealthy");
    parts.badge.dataset.tone = each.is_healthy ? "good" : "bad";
    parts.badge.use.setAttribute("href", each.is_healthy ? "#sign-check" : "#sign-alert");
    const ago = (moment) => (moment ? `${span(this.now() - Date.parse(moment))} ago` : "never");
    text(parts.success, ago(each.last_success));
    text(parts.failure, ago(each.last_failure));
    text(parts.failed, integer(each.failure_count_24h));
    text(parts.time, `${integer(Math.round(each.response_time_avg))} ms`);
    text(parts.waiting, integer(each.pending_count));
    text(parts.retrying, integer(each.retrying_count));
    toggle(parts.error, Boolean(each.error_message_last) && each.failure_count_24h > 0);
    text(parts.error, `Last failure: ${each.error_message_last}`);
  }
}

function buildEndpoint() {
  const parts = { url: h("code"), badge: badge(), error: h("p", { class: "error-text" }) };
  const fact = (name, label) => h("div", {}, h("dt", {}, label), (parts[name] = h("dd")));
  const node = h(
    "div",
    { class: "endpoint" },
    h("h3", {}, parts.url, parts.badge),
    h(
      "dl",
      { class: "facts" },
      fact("success", "Last success"),
      fact("failure", "Last failure"),
      fact("failed", "Failed, 24 h"),
      fact("time", "Mean time, 24 h"),
      fact("waiting", "Waiting"),
      fact("retrying", "Retrying"),
    ),
    parts.error,
  );
  node.parts = parts;
  return node;
}

function buildEvent(row) {
  const parts = { badge: badge(), kind: h("span", { class: "kind" }), why: h("small"), type: h("span"), at: h("time") };
  parts.kind.append(parts.type, parts.why);
  const node = h("li", { data: { id: row.id } }, parts.badge, parts.kind, parts.at);
  node.parts = parts;
  return node;
}

function updateEvent(node, row) {
  if (node.row === row) return;
  node.row = row;
  const { parts } = node;
  setBadge(parts.badge, row.status);
  text(parts.type, row.event_type);
  const tries = row.attempts > 0 ? ` · ${row.attempts} ${row.attempts === 1 ? "retry" : "retries"}` : "";
  text(parts.why, row.status === "succeeded" ? "" : `${tries}${row.error_message ? ` · ${row.error_message}` : ""}`);
  text(parts.at, when(row.received_at));
}

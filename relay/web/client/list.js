/** A list of rows that stays right by itself, and numbers that do; for any view that can show an array. */

import { everyone } from "./numbers.js";
import { comparator } from "./order.js";
import { Rows } from "./rows.js";
import { later } from "./timers.js";

export { comparator } from "./order.js";
export { liveNumbers } from "./numbers.js";

/** Asking for rows that were dropped is worth a snapshot, but not one after the other. */
const REFILL_MS = 5000;

/**
 * @param {import("./index.js").RelayClient} client @param {string} channel
 * @param {import("./list.js").ListOptions} [options]
 * @param {(list: any, change: any) => void} [onChange]
 * @returns {import("./list.js").LiveList}
 */
export function liveList(client, channel, options = {}, onChange) {
  let { limit = 100, sort = ["-created_at", "-id"], where = null } = options;
  const { filter, throttleMs = 100, key = (row) => row.id, onEvent } = options;
  const wanted = Math.min(500, options.snapshot ?? limit);
  const rows = new Rows({ order: comparator(sort), key, capacity: 2 * limit });
  const listeners = new Set(onChange ? [onChange] : []);
  /** @type {readonly any[]} */
  let shown = [];
  let more = false;
  let paused = false;
  let withheld = 0;
  let stale = false; // a new snapshot is on its way
  let refilling = false;
  let closed = false;
  let touched = new Map();
  let pending = new Set();
  let events = 0;
  let replaced = false;
  /** @type {null | (() => void)} */
  let cancel = null;

  const show = () => {
    const all = where ? rows.sorted.filter(where) : rows.sorted;
    more = all.length > limit || !rows.complete;
    shown = all.slice(0, limit);
  };
  const tell = () => {
    if (cancel) cancel();
    cancel = null;
    if (closed) return;
    if (!paused) show();
    const change = { touched, events, replaced };
    touched = new Map();
    events = 0;
    replaced = false;
    everyone(listeners, list, change);
  };
  const soon = () => {
    if (!throttleMs) tell();
    else if (!cancel && !closed) cancel = later(throttleMs, tell);
  };
  /** Rows have gone and others, dropped before, should move up. */
  const refill = () => {
    if (refilling || stale || rows.complete || rows.sorted.length >= Math.min(limit, wanted)) return;
    refilling = true;
    later(REFILL_MS * Math.random(), () => {
      refilling = false;
      if (!closed && rows.sorted.length < Math.min(limit, wanted)) subscription.refresh();
    });
  };

  const handlers = {
    onSnapshot(all, { truncated }) {
      stale = false;
      withheld = 0;
      replaced = true;
      rows.replace(all, truncated);
      if (paused) for (const row of all) pending.add(key(row));
      soon();
    },
    onEvent(event) {
      const name = key(event.row);
      events += 1;
      const changed = event.gone ? rows.remove(name) : rows.put(event.row);
      if (changed) {
        const before = touched.get(name);
        touched.set(name, {
          action: before && before.action === "created" && !event.gone ? "created" : event.gone ? "deleted" : event.action,
          changed: before ? [...new Set([...before.changed, ...event.changed])] : event.changed,
        });
        if (paused) pending.add(name);
      }
      if (onEvent) onEvent(event);
      if (changed) soon();
      refill();
    },
    onReset() {
      // Shown until the snapshot is there; `state` tells that it is on its way.
      stale = true;
    },
    onWithheld() {
      withheld += 1;
      soon();
    },
    onState(state) {
      if (stale && (state === "live" || state === "refused")) {
        stale = false;
        replaced = true;
        rows.clear();
      }
      soon();
    },
  };
  const list = {
    get rows() {
      return shown;
    },
    get state() {
      return subscription.state;
    },
    get error() {
      return subscription.error;
    },
    get truncated() {
      return more;
    },
    get partial() {
      return rows.partial;
    },
    get withheld() {
      return withheld;
    },
    get paused() {
      return paused;
    },
    get pending() {
      return pending.size;
    },
    get: (name) => rows.byKey.get(name),
    set(next) {
      if ("where" in next) where = next.where ?? null;
      if (next.limit) limit = next.limit;
      const order = next.sort ? comparator(next.sort) : rows.order;
      rows.reorder(order, 2 * limit);
      tell();
      refill();
    },
    setFilter: (next) => subscription.setFilter(next),
    pause() {
      paused = true;
      soon();
    },
    resume() {
      paused = false;
      pending = new Set();
      tell();
    },
    refresh: () => subscription.refresh(),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      if (cancel) cancel();
      subscription.unsubscribe();
      listeners.clear();
    },
  };
  const subscription = client.subscribe(channel, { filter, snapshot: wanted }, handlers);
  return list;
}

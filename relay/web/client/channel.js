/**
 * One channel as the application sees it: who listens, what was asked, what was granted, and what of it may be kept.
 *
 * `since` and `seen` are the two halves of "exactly once": the last checkpoint that covers this channel, and the ids of
 * what came after it. A cut replays from `since`, and `seen` drops what had already come. They live and die together.
 */

import { RelayError, told } from "./errors.js";

const NOT_THE_ROW = /^(action|changed|previous_status)$/;

/** The object a change is about, under whatever key its channel uses. @param {any} data */
function rowOf(data) {
  for (const key in data) if (!NOT_THE_ROW.test(key)) return data[key];
  return undefined;
}

/** @param {any} message @returns {import("./index.js").RowEvent} */
function eventOf(message) {
  const { channel, id, type, timestamp, data, membership = null } = message;
  return {
    id,
    channel,
    type,
    timestamp,
    membership,
    action: data.action,
    row: rowOf(data),
    changed: data.changed || [],
    previousStatus: data.previous_status ?? null,
    gone: data.action === "deleted" || membership === "left",
  };
}

export class Channel {
  /**
   * @param {string} name @param {any} filter
   * @param {(error: RelayError) => void} report
   */
  constructor(name, filter, report) {
    this.name = name;
    this.report = report;
    /** @type {Set<{handlers: import("./index.js").Handlers, snapshot: number}>} */
    this.listeners = new Set();
    this.filter = filter;
    /** What was granted last, to fall back to when a new filter is refused. */
    this.granted = filter;
    /** @type {import("./index.js").SubscriptionState} */
    this.state = "waiting";
    /** @type {RelayError | null} */
    this.error = null;
    /** The number of the request whose answer counts. @type {number | undefined} */
    this.request = undefined;
    /** The relay sends this channel on the present connection. */
    this.flowing = false;
    /** Listeners were given something that a new beginning makes worthless. */
    this.begun = false;
    this.reason = "";
    this.attempts = 0;
    /** An aggregate: neither checkpoints nor snapshots speak for it. */
    this.numbers = false;
    this.forget();
  }

  /** Nothing that came may be built upon any more. */
  forget() {
    /** @type {string | null} */
    this.since = null;
    /** @type {string | undefined} */
    this.view = undefined;
    /** The view that goes with what comes now; it counts once a checkpoint covers it. @type {string | undefined} */
    this.nextView = undefined;
    this.seen = new Set();
  }

  /** Rows to begin with. */
  get snapshot() {
    let most = 0;
    for (const { snapshot } of this.listeners) most = Math.max(most, snapshot);
    return most;
  }

  /** Call one handler of every listener; one that throws disturbs nobody. @param {string} name @param {...any} what */
  call(name, ...what) {
    for (const { handlers } of [...this.listeners]) this.callOne(handlers, name, what);
  }

  /** @param {any} handlers @param {string} name @param {any[]} what */
  callOne(handlers, name, what) {
    if (!handlers[name]) return;
    try {
      handlers[name](...what);
    } catch (error) {
      this.report(
        new RelayError("handler_failed", `${name} of ${this.name} threw: ${error}`, { retryable: false, channel: this.name }),
      );
    }
  }

  /** @param {import("./index.js").SubscriptionState} state @param {RelayError | null} [error] */
  become(state, error = null) {
    if (state === this.state && error === this.error) return;
    if (state === "live") this.attempts = 0;
    this.state = state;
    this.error = error;
    this.call("onState", state, error);
  }

  /** Ask anew, without what was kept: everybody is told to forget when the relay answers. @param {string} reason */
  restart(reason) {
    this.forget();
    this.reason = reason;
    this.become("waiting");
  }

  // What the relay says

  /** @param {any} entry of `subscribed` @param {boolean} resuming whether the request brought a cursor */
  subscribed(entry, resuming) {
    this.flowing = true;
    this.granted = this.filter;
    this.nextView = entry.view;
    if (entry.resumed || this.numbers) {
      if (this.state !== "live") this.become("filling");
      if (entry.resumed || this.state === "live") return;
    }
    this.forget();
    this.nextView = entry.view;
    // With a cursor a `resync` follows and gives the reason.
    if (this.begun && !resuming) this.reset(this.reason || "connection_lost");
    this.become("filling");
  }

  /** @param {string} reason */
  reset(reason) {
    this.begun = false;
    this.call("onReset", { reason, channel: this.name });
  }

  /** @param {string} reason */
  resync(reason) {
    const view = this.nextView;
    this.forget();
    this.nextView = view;
    this.reset(reason);
    this.become("filling");
  }

  /** @param {any} message */
  snapshotOf(message) {
    this.begun = true;
    const size = this.snapshot;
    // One request asks for as many rows as the greediest of its channels.
    const rows = size ? message.rows.slice(0, size) : message.rows;
    this.call("onSnapshot", rows, {
      truncated: message.truncated || rows.length < message.rows.length,
      channel: this.name,
    });
  }

  /** @param {any} message */
  data(message) {
    this.begun = true;
    if ("complete" in message) {
      this.numbers = true;
      const { channel, type, timestamp, as_of: asOf, complete, data } = message;
      this.call("onNumbers", { channel, type, timestamp, asOf, complete, data });
      if (complete) this.become("live");
    } else if (this.isNew(message.id)) {
      this.call("onEvent", eventOf(message));
    }
  }

  /** @param {any} message */
  withheld(message) {
    if (this.isNew(message.id)) this.call("onWithheld", { id: message.id, channel: this.name });
  }

  /** @param {string} id */
  isNew(id) {
    if (this.seen.has(id)) return false;
    this.seen.add(id);
    return true;
  }

  /** @param {string} reason */
  recount(reason) {
    this.numbers = true;
    this.call("onReset", { reason, channel: this.name });
    this.become("filling");
  }

  /** @param {string} cursor */
  checkpoint(cursor) {
    if (!this.flowing || (this.state !== "filling" && this.state !== "live")) return;
    // The same one comes again while a large commit streams, or capture is degraded: what came since is still ahead of it.
    if (cursor !== this.since) this.seen.clear();
    this.since = cursor;
    this.view = this.nextView;
    if (!this.numbers) this.become("live");
  }

  /** The relay refused what was asked. @param {RelayError} error */
  refuse(error) {
    if (this.flowing) {
      this.filter = this.granted; // the old subscription goes on
      this.become("filling");
    } else {
      this.become("refused", error);
    }
    this.call("onError", error);
  }

  /** The relay ended it. @param {string} reason */
  unsubscribed(reason) {
    this.flowing = false;
    this.forget();
    if (this.begun) this.reset(reason);
    this.become("refused", told({ code: reason, message: `the subscription of ${this.name} ended: ${reason}`, retryable: false, channel: this.name }));
  }

  /** The connection is gone. */
  cut() {
    this.flowing = false;
    this.request = undefined;
    if (this.state !== "refused" && this.state !== "ended") this.become("waiting");
  }
}

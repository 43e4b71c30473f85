/** Where the connection stands: the facts, the one word for them, and whoever wants to be told. */

import { later } from "./timers.js";

/** Checkpoints come with every batch; screens are told this often. */
const EVERY_MS = 250;

/** Before anything is known. @type {any} */
export const FACTS = {
  asOf: null,
  heardAt: null,
  degraded: null,
  error: null,
  retryAt: null,
  subject: null,
  channels: [],
  heartbeatSeconds: 5,
};

/**
 * @param {{ended: any, ready: boolean, settled: boolean, shown: boolean, degraded: any}} now
 *   `shown`: something complete was shown before
 * @returns {import("./index.js").State}
 */
export function stateOf({ ended, ready, settled, shown, degraded }) {
  if (ended) return ended;
  if (!ready) return shown ? "stale" : "connecting";
  if (degraded) return "degraded";
  return settled ? "live" : "catching-up";
}

export class Standing {
  /** @param {(line: string) => void} log @param {() => {ended: any, session: any, settled: boolean}} look @param {any} options */
  constructor(log, look, { onStatus, onError }) {
    this.log = log;
    this.look = look;
    /** @type {Record<string, Set<any>>} */
    this.listeners = { status: new Set(onStatus ? [onStatus] : []), error: new Set(onError ? [onError] : []) };
    /** @type {any} */
    this.facts = { ...FACTS };
    /** Something complete was shown before. */
    this.shown = false;
    this.soon = false;
    this.cancel = () => {};
    /** @type {any} */
    this.status = {};
  }

  /** @param {string} event @param {any} listener */
  on(event, listener) {
    const all = this.listeners[event];
    all.add(listener);
    return () => all.delete(listener);
  }

  /** @param {string} event @param {any} what */
  tell(event, what) {
    for (const listener of [...this.listeners[event]]) {
      try {
        listener(what);
      } catch (error) {
        this.log("a listener threw: " + error);
      }
    }
  }

  /** Tell soon: it is only the time that has moved on. */
  publishSoon() {
    if (this.soon) return;
    this.soon = true;
    this.cancel = later(EVERY_MS, () => this.publish());
  }

  publish() {
    const { facts, status: before } = this;
    const { ended, session, settled } = this.look();
    this.cancel();
    this.soon = false;
    const ready = !!session && session.ready;
    if (ready && settled) this.shown = true;
    const state = stateOf({ ended, ready, settled, shown: this.shown, degraded: facts.degraded });
    const since = before.state === state ? before.since : Date.now();
    const now = { state, since, transport: ready ? session.kind : null, ...facts };
    if (Object.keys(now).every((name) => now[name] === before[name])) return;
    this.status = now;
    if (state !== before.state) this.log("is " + state);
    this.tell("status", now);
  }
}

/** What to try next, and when, from what became of the attempts before. It decides and does nothing. */

import { RelayError, isFinal, isTokenRefused } from "./errors.js";
import { pause } from "./timers.js";

/** A connection that held this long was a good one: the next trouble begins with short pauses again. */
const STABLE_MS = 5000;
/** Attempts over WebSocket in a row that have to fail before long polling has its turn. */
const GIVE_UP_AFTER = 2;
const HOPE = 20;

export class Attempts {
  /** @param {{sockets: boolean, polls: boolean, asks: boolean, backoff: any}} can `asks`: there is a token callback */
  constructor(can) {
    this.can = can;
    this.socketFailures = 0;
    /** By how much WebSocket is looked at sooner than it would be, while nothing says that it does not last here. */
    this.hope = HOPE;
    this.reset();
  }

  /** Somebody wants it tried now. */
  reset() {
    /** Connections in a row that did not last. */
    this.failures = 0;
    /** Tokens in a row that the relay refused, the last of them, and what it said. */
    this.refusals = 0;
    /** @type {string | undefined} */
    this.refused = undefined;
    /** @type {RelayError | undefined} */
    this.fault = undefined;
    /** A pause that the relay asked for lasts until then. */
    this.notBefore = 0;
  }

  /** @returns {"websocket" | "polling"} */
  get kind() {
    const { sockets, polls } = this.can;
    return !sockets || (polls && this.socketFailures >= GIVE_UP_AFTER) ? "polling" : "websocket";
  }

  /** Why `token` need not be tried. @param {string | null | undefined} token */
  useless(token) {
    if (token && token !== this.refused) return undefined;
    return this.fault || new RelayError("no_token", "there is no token that the relay would accept", { retryable: false });
  }

  welcomed() {
    this.refusals = 0;
    this.refused = this.fault = undefined;
  }

  /** WebSocket works again, though nobody knows yet for how long. */
  wentBack() {
    this.socketFailures = GIVE_UP_AFTER - 1;
    this.hope = 1;
  }

  /**
   * How long to wait after a connection that ended, or undefined: there is nothing to try until somebody signs in.
   * @param {{kind: string, ready: boolean, begun: number, token: string}} session @param {RelayError} error
   */
  after({ kind, ready, begun, token }, error) {
    if (isFinal(error)) return undefined;
    const refused = isTokenRefused(error);
    if (refused) {
      this.refused = token;
      this.fault = error;
      // Once more, with another token.
      if (++this.refusals > 1 || !this.can.asks) return undefined;
    }
    const good = ready && Date.now() - begun >= STABLE_MS;
    if (good) this.failures = 0;
    if (kind === "polling") this.socketFailures = ready ? GIVE_UP_AFTER : refused ? 0 : GIVE_UP_AFTER - 1;
    else if (good) {
      this.socketFailures = 0;
      this.hope = HOPE;
    } else if (error.retryAfterMs === undefined && error.code !== "token_failed") {
      this.socketFailures += error.code === "connect_timeout" ? GIVE_UP_AFTER : 1;
    }
    this.notBefore = error.retryAfterMs === undefined ? 0 : Date.now() + error.retryAfterMs;
    return error.retryAfterMs ?? pause(this.failures++, this.can.backoff);
  }
}

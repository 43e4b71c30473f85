/** The connection: gets a token, opens, watches over it, comes back. What is subscribed lives in channels.js. */

import { addresses } from "./address.js";
import { Channels } from "./channels.js";
import { RelayError, isFinal, isTokenRefused, told } from "./errors.js";
import { logger, summary } from "./log.js";
import { openPolling } from "./polling.js";
import { openSocket } from "./socket.js";
import { later, pause } from "./timers.js";
import { watchWaking } from "./wake.js";

/** A connection that held this long was a good one: the next trouble begins with short pauses again. */
const STABLE_MS = 5000;
/** Attempts over WebSocket in a row that have to fail before long polling has its turn. */
const GIVE_UP_AFTER = 2;
/** Silence that is not held against the relay, however short its heartbeat. */
const GRACE_MS = 2000;
const TOKEN_PATIENCE_MS = 30000;
/** Checkpoints come with every batch; screens are told this often. */
const STATUS_EVERY_MS = 250;

/** @typedef {{kind: "websocket" | "polling", token: string, ready: boolean, begun: number, fault?: RelayError, link?: any}} Session */

export class Client {
  /** @param {import("./index.js").ConnectOptions & {headers?: boolean}} options */
  constructor(options) {
    this.options = { connectTimeoutMs: 8000, wayBackMs: 60000, fallback: true, ...options };
    this.urls = addresses(options.url, options.pollUrl);
    this.log = logger(options.debug);
    this.Socket = options.WebSocket || globalThis.WebSocket;
    const fetch = options.fetch || globalThis.fetch;
    this.fetch = this.options.fallback && fetch && ((...all) => fetch(...all));
    if (!this.Socket && !this.fetch) throw new TypeError("there is no WebSocket here: give one as options.WebSocket");
    /** @type {{status: Set<any>, error: Set<any>}} */
    this.listeners = { status: new Set(), error: new Set() };
    if (options.onStatus) this.listeners.status.add(options.onStatus);
    if (options.onError) this.listeners.error.add(options.onError);
    this.channels = new Channels({ changed: () => this.changed(), report: (error) => this.report(error) });
    /** @type {Session | null} */
    this.session = null;
    /** @type {"closed" | "signed-out" | null} */
    this.ended = null;
    this.away = false;
    this.failures = 0;
    this.socketFailures = this.Socket ? 0 : GIVE_UP_AFTER;
    this.refusals = 0;
    this.notBefore = 0;
    this.cancelRetry = () => {};
    this.cancelWatch = () => {};
    this.cancelWayBack = () => {};
    this.cancelPublish = () => {};
    this.everLive = false;
    this.heardAt = null;
    this.facts = { asOf: null, degraded: null, error: null, retryAt: null, subject: null, channels: [], heartbeatSeconds: 5 };
    this.status = this.describe();
    this.stopWaking = watchWaking({ wake: () => this.wake(), hide: () => this.hide(), wakeOn: options.wakeOn });
    this.begin();
  }

  // What the application calls

  subscribe(channel, options = {}, handlers = {}) {
    return this.channels.subscribe(channel, options, handlers);
  }

  on(event, listener) {
    const all = this.listeners[event];
    all.add(listener);
    return () => all.delete(listener);
  }

  reconnect() {
    this.log("reconnect asked for");
    if (this.ended === "closed") this.stopWaking = watchWaking({ wake: () => this.wake(), hide: () => this.hide(), wakeOn: this.options.wakeOn });
    this.ended = null;
    this.away = false;
    this.refusals = this.failures = this.notBefore = 0;
    this.refused = undefined;
    this.drop();
    this.begin();
  }

  close() {
    if (this.ended === "closed") return;
    this.log("closed");
    this.stopWaking();
    this.end("closed", null);
  }

  wake() {
    if (this.ended) return;
    this.away = false;
    if (!this.session) {
      // A pause that the relay asked for holds for whoever wakes up, too.
      if (Date.now() >= this.notBefore) this.begin();
    } else if (this.session.ready && this.session.kind === "websocket") {
      this.probe();
    }
  }

  hide() {
    this.away = true;
    this.drop();
    this.changed();
  }

  // One connection after the other

  async begin() {
    if (this.ended || this.session || this.away) return;
    this.cancelRetry();
    const polling = this.socketFailures >= GIVE_UP_AFTER && this.fetch;
    const session = (this.session = { kind: polling ? "polling" : "websocket", token: "", ready: false, begun: Date.now() });
    this.fact({ retryAt: null });
    let token;
    try {
      token = await this.token();
    } catch (error) {
      return this.lost(session, error);
    }
    if (session !== this.session) return;
    if (!token || token === this.refused) {
      const error = this.fault || new RelayError("no_token", "there is no token that the relay would accept", { retryable: false });
      return this.end("signed-out", error);
    }
    session.token = token;
    session.begun = Date.now();
    this.log("opening " + session.kind);
    if (polling) this.poll(session);
    else session.link = this.socket(session, (message) => this.receive(session, message), (error) => this.lost(session, error));
  }

  socket(session, onMessage, onEnd) {
    const { headers, connectTimeoutMs: timeoutMs } = this.options;
    return openSocket({ url: this.urls.socket, token: session.token, Socket: this.Socket, headers, timeoutMs, onMessage, onEnd });
  }

  /** A token, asked for once however many wait for it. @returns {Promise<string | null | undefined>} */
  token() {
    const { token } = this.options;
    if (typeof token !== "function") return Promise.resolve(token);
    if (!this.asking) {
      this.asking = new Promise((resolve) => resolve(token())).finally(() => (this.asking = null));
      this.asking.catch(() => {});
    }
    return new Promise((resolve, reject) => {
      const cancel = later(TOKEN_PATIENCE_MS, () => reject(new RelayError("token_failed", "no token came in time")));
      const fail = (error) => reject(error instanceof RelayError ? error : new RelayError("token_failed", "no token could be had: " + error));
      this.asking.then(resolve, fail).finally(cancel);
    });
  }

  /** The connection ended, or never began. @param {Session} session @param {RelayError} error */
  lost(session, error) {
    if (session !== this.session) return;
    const { fault, kind, ready, begun } = session;
    error = fault || error;
    const good = ready && Date.now() - begun >= STABLE_MS;
    this.log(`lost ${kind}: ${error.code} ${error.message}`);
    this.drop();
    if (error !== fault) this.report(error);
    if (isFinal(error)) return this.end("signed-out", error);
    if (isTokenRefused(error)) {
      this.refused = session.token;
      this.fault = error;
      // Once more, with another token.
      if (++this.refusals > 1 || typeof this.options.token !== "function") return this.end("signed-out", error);
    }
    if (good) this.failures = 0;
    if (!this.Socket) this.socketFailures = GIVE_UP_AFTER;
    else if (kind === "polling") this.socketFailures = ready ? GIVE_UP_AFTER : isTokenRefused(error) ? 0 : GIVE_UP_AFTER - 1;
    else if (good) this.socketFailures = 0;
    else if (!error.retryAfterMs && error.code !== "token_failed") this.socketFailures += error.code === "connect_timeout" ? GIVE_UP_AFTER : 1;
    const delay = error.retryAfterMs ?? pause(this.failures++, this.options.backoff);
    this.notBefore = error.retryAfterMs ? Date.now() + delay : 0;
    this.cancelRetry = later(delay, () => this.begin());
    this.fact({ error, retryAt: Date.now() + delay });
  }

  /** Let go of the connection without a word to anybody. */
  drop() {
    const { session } = this;
    this.session = null;
    this.cancelRetry();
    this.cancelWatch();
    this.cancelWayBack();
    if (session && session.link) session.link.close();
    this.channels.cut();
    this.facts.degraded = null;
  }

  end(how, error) {
    this.ended = how;
    this.drop();
    if (error) this.log(`${how}: ${error.code}`);
    this.fact({ error, retryAt: null });
  }

  /** @param {Session} session */
  poll(session) {
    const { fetch, channels } = this;
    session.link = openPolling({
      url: this.urls.poll,
      token: () => session.token,
      fetch,
      channels,
      timeoutMs: this.options.connectTimeoutMs,
      receive: (message, asked) => this.receive(session, message, asked),
      onEnd: (error) => this.lost(session, error),
    });
    session.link.flush();
    if (this.Socket) this.wayBack(session);
  }

  /** Now and then look whether WebSocket works again; meanwhile polling goes on. @param {Session} session */
  wayBack(session) {
    this.cancelWayBack = later(this.options.wayBackMs * (0.75 + Math.random() / 2), () => {
      const next = { kind: /** @type {"websocket"} */ ("websocket"), token: session.token, ready: false, begun: Date.now() };
      const link = this.socket(
        next,
        (message) => {
          if (this.session === session && message.type === "welcome") {
            this.log("back to websocket");
            this.cancelWayBack = () => {};
            this.drop();
            this.session = Object.assign(next, { link });
            this.socketFailures = GIVE_UP_AFTER - 1;
          }
          if (this.session === next) this.receive(next, message);
        },
        (error) => (this.session === session ? this.wayBack(session) : this.lost(next, error)),
      );
      this.cancelWayBack = () => link.close();
    });
  }

  // Messages

  /** @param {Session} session @param {any} message @param {any} [asked] */
  receive(session, message, asked) {
    if (session !== this.session) return;
    this.heardAt = Date.now();
    session.fault = undefined;
    if (this.options.debug) this.log("← " + summary(message));
    switch (message.type) {
      case "welcome":
        return this.welcome(session, message);
      case "checkpoint":
        this.channels.receive(message, asked);
        if (this.channels.settled && message.as_of) this.facts.asOf = message.as_of;
        return this.publishSoon();
      case "capture_status":
        return this.fact({ degraded: message.status === "ok" ? null : { since: message.since, reason: message.reason || null } });
      case "token_expiring":
        return this.refresh(session);
      case "goodbye":
        // Not all platforms pass the close on, so it is not waited for.
        return this.lost(session, told(message));
      case "error":
        if (message.channel || message.id !== undefined) break;
        // If the connection ends with the next breath, this is why.
        this.report((session.fault = told(message)));
        return;
    }
    this.channels.receive(message, asked);
  }

  welcome(session, message) {
    const { subject, channels, heartbeat_seconds: heartbeatSeconds } = message;
    const first = !session.ready;
    const socket = session.kind === "websocket";
    session.link.welcomed();
    session.ready = true;
    this.refusals = 0;
    this.refused = this.fault = undefined;
    // Every poll is welcomed; asking again for what was refused is for those who signed in anew.
    if (first || socket) this.channels.welcome(channels);
    this.fact({ error: null, subject, channels, heartbeatSeconds });
    if (first && socket) this.watch(session);
  }

  /** A fresh token in place, tried until there is one or the connection ends. @param {Session} session */
  async refresh(session) {
    try {
      const token = await this.token();
      if (session !== this.session || !token || token === session.token) return;
      session.token = token;
      if (session.kind === "websocket") session.link.send({ type: "auth", token });
    } catch (error) {
      this.report(error);
      later(5000, () => session === this.session && this.refresh(session));
    }
  }

  // Watching over it

  /** Look twice a heartbeat whether the relay is still there. @param {Session} session */
  watch(session) {
    const beat = this.facts.heartbeatSeconds * 1000;
    const step = Math.max(beat / 2, 250);
    const looked = Date.now();
    this.cancelWatch = later(step, () => {
      const silence = Date.now() - /** @type {any} */ (this.heardAt);
      // A timer that comes far too late means that everything slept: ask before judging.
      if (Date.now() - looked > step + GRACE_MS) this.probe();
      else if (silence > 2.5 * beat + GRACE_MS) return this.lost(session, new RelayError("silent", "nothing came from the relay for too long"));
      else if (silence > 1.2 * beat) session.link.send({ type: "ping" });
      this.watch(session);
    });
  }

  /** Ask for a sign of life, and do not wait long for it. */
  probe() {
    const { session, heardAt } = this;
    if (!session || this.probing === session) return;
    this.probing = session;
    session.link.send({ type: "ping" });
    later(3000, () => {
      this.probing = undefined;
      if (session === this.session && this.heardAt === heardAt) this.lost(session, new RelayError("silent", "the connection did not survive"));
    });
  }

  // Telling

  changed() {
    const { session } = this;
    if (session && session.link && !this.flushing) {
      this.flushing = true;
      // Everything that is subscribed in one go shares a request.
      Promise.resolve().then(() => {
        this.flushing = false;
        if (this.session !== session) return;
        if (session.kind === "polling") session.link.flush();
        else if (session.ready) this.channels.flush((message) => session.link.send(message));
      });
    }
    this.publish();
  }

  /** @param {any} facts */
  fact(facts) {
    Object.assign(this.facts, facts);
    this.changed();
  }

  report(error) {
    for (const listener of [...this.listeners.error]) this.tell(listener, error);
  }

  tell(listener, what) {
    try {
      listener(what);
    } catch (error) {
      this.log("a listener threw: " + error);
    }
  }

  describe() {
    const { session, ended, facts, heardAt } = this;
    const ready = session && session.ready;
    const settled = ready && this.channels.settled;
    if (settled) this.everLive = true;
    const state =
      ended ||
      (!ready ? (this.everLive ? "stale" : "connecting") : facts.degraded ? "degraded" : settled ? "live" : "catching-up");
    const since = this.status && this.status.state === state ? this.status.since : Date.now();
    return { state, since, heardAt, transport: ready ? session.kind : null, ...facts };
  }

  publishSoon() {
    if (this.soon) return;
    this.soon = true;
    this.cancelPublish = later(STATUS_EVERY_MS, () => this.publish());
  }

  publish() {
    this.cancelPublish();
    this.soon = false;
    const before = this.status;
    const now = (this.status = this.describe());
    if (Object.keys(now).every((name) => now[name] === before[name])) return void (this.status = before);
    if (now.state !== before.state) this.log("is " + now.state);
    for (const listener of [...this.listeners.status]) this.tell(listener, now);
  }
}

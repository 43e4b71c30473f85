/** The connection: gets a token, opens, comes back. What is subscribed lives in channels.js. */

import { addresses } from "./address.js";
import { Attempts } from "./attempts.js";
import { Channels } from "./channels.js";
import { RelayError, told } from "./errors.js";
import { logger, summary } from "./log.js";
import { openPolling } from "./polling.js";
import { pulse } from "./pulse.js";
import { openSocket } from "./socket.js";
import { Standing } from "./standing.js";
import { later } from "./timers.js";
import { tokenFrom } from "./token.js";
import { watchWaking } from "./wake.js";

/** A fresh token that could not be had is asked for again this soon. */
const REFRESH_AGAIN_MS = 5000;

/** A poll that brought nothing for longer than it may take went to sleep with the device. */
const POLL_MS = 30000;

const nothing = () => {};

/**
 * One attempt to be connected, and the connection if it succeeds. `fault`: what the relay said just now.
 * @typedef {{kind: "websocket" | "polling", token: string, ready: boolean, begun: number, fault?: any, link?: any, pulse?: any}} Session
 */

export class Client {
  /** @param {import("./index.js").ConnectOptions & {headers?: boolean}} options */
  constructor(options) {
    this.options = { connectTimeoutMs: 8000, wayBackMs: 60000, fallback: true, ...options };
    this.urls = addresses(options.url, options.pollUrl);
    this.log = logger(options.debug);
    this.Socket = options.WebSocket || globalThis.WebSocket;
    const fetch = this.options.fallback && (options.fetch || globalThis.fetch);
    this.fetch = fetch && ((...all) => fetch(...all));
    if (!this.Socket && !fetch) throw new TypeError("there is no WebSocket here: give one as options.WebSocket");
    this.token = tokenFrom(options.token);
    const can = { sockets: !!this.Socket, polls: !!fetch, asks: typeof options.token === "function", backoff: options.backoff };
    this.attempts = new Attempts(can);
    /** @type {Session | null} */
    this.session = null;
    /** @type {"closed" | "signed-out" | null} */
    this.ended = null;
    /** The page was put away. */
    this.away = false;
    this.flushing = false;
    this.cancelRetry = this.cancelWayBack = this.stopWaking = nothing;
    const look = () => ({ ended: this.ended, session: this.session, settled: this.channels.settled });
    this.standing = new Standing(this.log, look, options);
    this.channels = new Channels({ changed: () => this.changed(), report: (error) => this.standing.tell("error", error) });
    this.listenForWaking();
    this.standing.publish();
    this.begin();
  }

  // What the application calls

  reconnect() {
    this.log("reconnect");
    this.listenForWaking();
    this.ended = null;
    this.away = false;
    this.attempts.reset();
    this.drop();
    this.begin();
  }

  close() {
    this.stopWaking();
    this.end("closed", null);
  }

  wake() {
    if (this.ended) return;
    this.away = false;
    const { session } = this;
    // A pause that the relay asked for holds for whoever wakes up, too.
    if (!session) Date.now() >= this.attempts.notBefore && this.begin();
    else if (session.pulse) session.pulse.probe();
    else if (session.ready && Date.now() - this.standing.facts.heardAt > POLL_MS) this.lost(session, new RelayError("silent", "the connection did not survive"));
  }

  /** The page is put away, perhaps to be taken out again as it was. */
  hide() {
    this.away = true;
    this.drop();
    this.changed();
  }

  listenForWaking() {
    this.stopWaking();
    this.stopWaking = watchWaking({ wake: () => this.wake(), hide: () => this.hide(), wakeOn: this.options.wakeOn });
  }

  // One connection after the other

  async begin() {
    if (this.ended || this.session || this.away) return;
    this.cancelRetry();
    const { kind } = this.attempts;
    /** @type {Session} */
    const session = (this.session = { kind, token: "", ready: false, begun: Date.now() });
    this.fact({ retryAt: null });
    let token;
    try {
      token = await this.token();
    } catch (error) {
      return this.lost(session, error);
    }
    if (session !== this.session) return;
    const useless = this.attempts.useless(token);
    if (useless) return this.end("signed-out", useless);
    session.token = /** @type {string} */ (token);
    session.begun = Date.now();
    this.log("opening " + kind);
    if (kind === "polling") this.poll(session);
    else this.socket(session, (message) => this.receive(session, message), (error) => this.lost(session, error));
  }

  /** @param {Session} session @param {(message: any) => void} onMessage @param {(error: any) => void} onEnd */
  socket(session, onMessage, onEnd) {
    const { headers, connectTimeoutMs: timeoutMs } = this.options;
    const { Socket, urls } = this;
    session.link = openSocket({ url: urls.socket, token: session.token, Socket, headers, timeoutMs, onMessage, onEnd });
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

  /**
   * Now and then look whether WebSocket works again; meanwhile polling goes on. The first look may be an early one: if it
   * was the relay that was away, nothing is in the way.
   * @param {Session} session
   */
  wayBack(session, hope = this.attempts.hope) {
    this.cancelWayBack = later((this.options.wayBackMs / hope) * (0.75 + Math.random() / 2), () => {
      /** @type {Session} */
      const next = { kind: "websocket", token: session.token, ready: false, begun: Date.now() };
      this.cancelWayBack = () => next.link.close();
      this.socket(
        next,
        (message) => {
          if (this.session === session && message.type === "welcome") {
            this.log("back to websocket");
            this.cancelWayBack = nothing;
            this.drop();
            this.session = next;
            this.attempts.wentBack();
          }
          this.receive(next, message);
        },
        (error) => (this.session === session ? this.wayBack(session, 1) : this.lost(next, error)),
      );
    });
  }

  /** The connection ended, or never began. @param {Session} session @param {any} error */
  lost(session, error) {
    if (session !== this.session) return;
    const { fault } = session;
    error = fault || error;
    this.log(`lost ${session.kind}: ${error.code} ${error.message}`);
    this.drop();
    const delay = this.attempts.after(session, error);
    if (delay === undefined) {
      this.end("signed-out", error);
    } else {
      this.cancelRetry = later(delay, () => this.begin());
      this.fact({ error, retryAt: Date.now() + delay });
    }
    if (error !== fault) this.standing.tell("error", error);
  }

  /** Let go of the connection without a word to anybody. */
  drop() {
    const { session } = this;
    this.session = null;
    this.cancelRetry();
    this.cancelWayBack();
    if (session) {
      if (session.link) session.link.close();
      if (session.pulse) session.pulse.stop();
    }
    this.channels.cut();
    this.standing.facts.degraded = null;
  }

  /** @param {"closed" | "signed-out"} how @param {any} error */
  end(how, error) {
    this.ended = how;
    this.drop();
    this.fact({ error, retryAt: null });
  }

  // Messages

  /** @param {Session} session @param {any} message @param {any} [asked] */
  receive(session, message, asked) {
    if (session !== this.session) return;
    this.standing.facts.heardAt = Date.now();
    if (session.pulse) session.pulse.heard();
    session.fault = undefined;
    if (this.options.debug) this.log("← " + summary(message));
    switch (message.type) {
      case "welcome":
        return this.welcome(session, message);
      case "checkpoint":
        this.channels.receive(message, asked);
        if (this.channels.settled) this.standing.facts.asOf = message.as_of;
        return this.standing.publishSoon();
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
        return this.standing.tell("error", (session.fault = told(message)));
    }
    this.channels.receive(message, asked);
  }

  /** @param {Session} session @param {any} message */
  welcome(session, { subject, channels, heartbeat_seconds: heartbeatSeconds }) {
    const first = !session.ready;
    const socket = session.kind === "websocket";
    session.link.welcomed();
    session.ready = true;
    this.attempts.welcomed();
    // Every poll is welcomed; asking again for what was refused is for those who signed in anew.
    if (first || socket) this.channels.welcome(channels);
    this.fact({ error: null, subject, channels, heartbeatSeconds });
    if (first && socket) {
      session.pulse = pulse({
        beatMs: () => this.standing.facts.heartbeatSeconds * 1000,
        ping: () => session.link.send({ type: "ping" }),
        dead: (error) => this.lost(session, error),
      });
    }
  }

  /** A fresh token in place, tried until there is one or the connection ends. @param {Session} session */
  async refresh(session) {
    try {
      const token = await this.token();
      if (session !== this.session || !token || token === session.token) return;
      session.token = token;
      if (session.kind === "websocket") session.link.send({ type: "auth", token });
    } catch (error) {
      this.standing.tell("error", error);
      later(REFRESH_AGAIN_MS, () => session === this.session && this.refresh(session));
    }
  }

  // Telling

  /** Something waits to be asked for, or is otherwise than it was. */
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
    this.standing.publish();
  }

  /** @param {any} facts */
  fact(facts) {
    Object.assign(this.standing.facts, facts);
    this.changed();
  }
}

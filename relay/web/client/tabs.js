/**
 * One connection for several tabs. Each tab begins with a connection of its own. The one that gets the lock leads: what it
 * is told it tells the others, who let go of theirs when they may (meeting.js). Whatever the others cannot follow, a resync,
 * a channel of their own, a leader that is gone or silent, sends them back to a connection of their own, which resumes as
 * after any cut. So sharing can go wrong only by not being shared.
 */

import { Client } from "./client.js";
import { connect } from "./index.js";
import { Meeting, Rest, covers, momentOf } from "./meeting.js";
import { pulse } from "./pulse.js";
import { surface } from "./surface.js";
import { later } from "./timers.js";

/** What a leader's followers can follow; anything else about a channel sends them back. */
const PLAIN = /^(welcome|pong|token_expiring|error|checkpoint|withheld)$/;
const LIFE = /^(exp|iat|nbf|jti)$/;

/** A name that tabs have in common if the relay would tell them the same: address, subject and claims. Null: no such token. */
export function nameFor(url, token) {
  try {
    const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(text);
    const kept = Object.keys(claims).filter((claim) => !LIFE.test(claim));
    return JSON.stringify(["payment-relay", url, kept.sort().map((claim) => [claim, claims[claim]])]);
  } catch {
    return null;
  }
}

class TabClient extends Client {
  // The superclass begins to connect while it is being built, so nothing may be initialised after it.

  /** Follow whoever leads those with this token, or lead. @param {string} token */
  join(token) {
    const name = nameFor(this.urls.socket, token);
    if (this.group && this.group.name === name) return;
    this.leaveGroup();
    if (!name) return;
    const group = {
      name,
      id: String(Math.random()),
      bus: new BroadcastChannel(name),
      count: 0,
      leading: false,
      /** @type {string | null} who leads, and when that was heard of */
      leader: null,
      heardAt: 0,
      resign: () => {},
    };
    this.group = group;
    group.bus.onmessage = ({ data }) => group === this.group && this.hear(data);
    this.stand(group, {});
  }

  /** Ask for the lock; whoever holds it leads. @param {any} group @param {any} how */
  stand(group, how) {
    const lead = () =>
      new Promise((resolve) => {
        if (group !== this.group) return resolve(undefined);
        this.log("leads");
        group.leading = true;
        group.resign = () => resolve(undefined);
        this.meeting = null;
        if (this.rest) this.unpark();
      });
    navigator.locks.request(group.name, how, lead).catch(() => {
      // Stolen: this tab was frozen, or slow.
      group.leading = false;
      if (group === this.group) this.stand(group, {});
    });
  }

  leaveGroup() {
    const { group } = this;
    if (!group) return;
    if (group.leading) this.tell({ gone: true });
    this.group = this.meeting = null;
    group.resign();
    group.bus.close();
  }

  /** @param {any} what */
  tell(what) {
    const { group } = this;
    group.bus.postMessage({ from: group.id, number: (group.count += 1), ...what });
  }

  /** Channels that are listened to here and live, with their views; null while something is not as it should be. */
  views() {
    /** @type {Record<string, string>} */
    const views = {};
    for (const { name, state, nextView, view, listeners } of this.channels.byName.values()) {
      if (!listeners.size || state === "refused") continue;
      if (state !== "live") return null;
      views[name] = nextView || view;
    }
    return views;
  }

  // As one with a connection of its own

  /** @param {any} session @param {any} message @param {any} [asked] */
  receive(session, message, asked) {
    const current = session === this.session;
    super.receive(session, message, asked);
    if (!current || session !== this.session || session.kind !== "websocket") return;
    if (message.type === "welcome") this.join(session.token);
    if (!this.group) return;
    if (this.group.leading) this.share(message);
    else this.compare(message);
  }

  /** @param {any} message */
  share(message) {
    const { type, channel } = message;
    if ("complete" in message || "data" in message || /^(withheld|pong)$/.test(type)) this.tell({ message });
    else if (type === "checkpoint") this.tell({ message, views: this.views() || {} });
    else if (type === "capture_status") message.status !== "ok" && this.tell({ changed: null });
    else if (!PLAIN.test(type)) this.tell({ changed: channel ? [channel] : [].concat(message.channels || [], Object.keys(message.channels || {})) });
  }

  /** Own and theirs, side by side, until own can be let go. @param {any} message */
  compare(message) {
    const { group, meeting } = this;
    if ("complete" in message) this.counted(message);
    else if ("data" in message || message.type === "withheld") meeting && meeting.own(message);
    else if (message.type !== "checkpoint") this.meeting = PLAIN.test(message.type) ? meeting : null;
    else if (!meeting) {
      const heard = group.leader && Date.now() - group.heardAt < 2.5 * this.beatMs();
      if (heard && this.channels.settled) this.meeting = new Meeting(group.leader, momentOf(message));
    } else {
      const mine = this.views();
      if (mine && Object.keys(mine).length && meeting.over(momentOf(message), mine)) this.park(momentOf(message));
      else if (meeting.tooMuch) this.meeting = null;
    }
  }

  beatMs() {
    return this.standing.facts.heartbeatSeconds * 1000;
  }

  /** How far numbers have come, so that older ones are passed over. @param {any} message */
  counted(message) {
    this.numbers = this.numbers || new Map();
    if (momentOf(message) <= (this.numbers.get(message.channel) || 0)) return false;
    this.numbers.set(message.channel, momentOf(message));
    return true;
  }

  // As a follower

  /** @param {any} told */
  hear({ from, number, message, views, changed, gone, ask }) {
    const { group, meeting, rest } = this;
    if (group.leading && ask) this.tell({ message: { type: "pong" } });
    if (group.leading || ask) return;
    if (rest && from !== rest.leader) return;
    if (meeting && from !== meeting.leader) this.meeting = null;
    group.leader = gone ? null : from;
    group.heardAt = Date.now();
    const missed = group.last !== undefined && group.lastFrom === from && number !== group.last + 1;
    group.last = number;
    group.lastFrom = from;
    const mine = Object.keys(this.views() || {});
    const broken = gone || missed || changed === null || (changed && changed.some((name) => mine.includes(name)));
    if (rest) {
      if (broken) this.unpark();
      else if (message) this.follow(message, views);
    } else if (broken) {
      this.meeting = null;
    } else if (message && this.meeting) {
      this.meeting.theirs(message, views);
    }
  }

  /** Let go of the own connection: it has just told a checkpoint of this moment. @param {number} moment */
  park(moment) {
    const own = /** @type {any} */ (this.session);
    const { told, kept, leader } = /** @type {Meeting} */ (this.meeting);
    this.log("shares the connection of another tab");
    own.pulse.stop();
    own.link.close();
    this.meeting = null;
    this.rest = Object.assign(new Rest(told, moment), { leader });
    const back = () => this.rest && this.unpark();
    this.session = {
      ...own,
      kind: /** @type {any} */ ("shared"),
      // What has to be asked for is asked for on a connection of its own.
      link: { send: (message) => message.type === "subscribe" && back(), welcomed() {}, close() {} },
      pulse: pulse({ beatMs: () => this.beatMs(), ping: () => this.group.bus.postMessage({ ask: true }), dead: () => this.deserted() }),
    };
    this.changed();
    for (const message of kept) this.follow(message, undefined);
  }

  /** @param {any} message @param {any} views */
  follow(message, views) {
    const { session, rest } = this;
    if (!rest || !session) return;
    if (message.type === "checkpoint") {
      if (views && !covers(views, this.views() || {})) return this.unpark();
      if (!rest.passed(message)) return session.pulse.heard();
    } else if ("complete" in message ? !this.counted(message) : rest.has(message)) {
      return session.pulse.heard();
    }
    super.receive(session, message);
  }

  unpark() {
    this.log("has a connection of its own again");
    this.rest = null;
    this.drop();
    this.begin();
  }

  /** The leader is silent, though it holds the lock: frozen, most likely. It is replaced unless somebody else was quicker. */
  deserted() {
    const { group, rest } = this;
    this.unpark();
    later(Math.random() * 1000, () => {
      if (group === this.group && !group.leading && group.leader === rest.leader) this.stand(group, { steal: true });
    });
  }

  // As anybody

  /** @param {any} session @param {any} error */
  lost(session, error) {
    if (session === this.session && this.group && this.group.leading) this.tell({ gone: true });
    this.meeting = null;
    super.lost(session, error);
  }

  reconnect() {
    this.rest = this.meeting = null;
    super.reconnect();
  }

  /** @param {any} how @param {any} error */
  end(how, error) {
    this.leaveGroup();
    this.rest = null;
    super.end(how, error);
  }

  hide() {
    this.leaveGroup();
    this.rest = null;
    super.hide();
  }
}

/** @param {import("./index.js").ConnectOptions} options @returns {import("./index.js").RelayClient} */
export function connectShared(options) {
  const { navigator: page } = globalThis;
  if (!page || !page.locks || typeof BroadcastChannel !== "function") return connect(options);
  return surface(new TabClient(options));
}

/** All channels of one client: what to ask the relay for, and to whom each of its messages goes. */

import { Channel } from "./channel.js";
import { RelayError, told } from "./errors.js";
import { later, pause } from "./timers.js";

/** Key order does not make two filters different. @param {any} value @returns {string} */
function canonical(value) {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.keys(part).sort().map((key) => [key, part[key]]))
      : part,
  );
}

export class Channels {
  /** @param {{changed: () => void, report: (error: RelayError) => void}} client `changed`: something waits to be asked for, or became live */
  constructor({ changed, report }) {
    this.changed = changed;
    this.report = report;
    /** @type {Map<string, Channel>} */
    this.byName = new Map();
    /** @type {Map<number, {channels: Channel[], since: boolean}>} */
    this.requests = new Map();
    this.lastRequest = 0;
  }

  /** @param {string} name @param {import("./index.js").SubscribeOptions} options @param {import("./index.js").Handlers} handlers */
  subscribe(name, { filter = {}, snapshot = 0 }, handlers) {
    let channel = this.byName.get(name);
    if (channel && channel.listeners.size && canonical(channel.filter) !== canonical(filter)) {
      throw new RelayError("filter_conflict", `${name} is subscribed with another filter; setFilter() changes it for all`, {
        retryable: false,
        channel: name,
      });
    }
    if (!channel) this.byName.set(name, (channel = new Channel(name, filter, this.report)));
    const { state, since, listeners } = channel;
    const late = since !== null || state === "filling" || state === "live" || (state === "asked" && snapshot > channel.snapshot);
    const listener = { handlers, snapshot };
    channel.filter = filter;
    // Whoever comes first, or has to be given rows that went by already, begins anew.
    if (!listeners.size || (late && (snapshot || channel.numbers))) channel.restart("joined");
    // Nothing is called before the caller has the subscription in hand.
    else Promise.resolve().then(() => listeners.has(listener) && channel.callOne(handlers, "onState", [channel.state, channel.error]));
    listeners.add(listener);
    this.changed();
    return this.handle(channel, listener);
  }

  /** @param {Channel} channel @param {any} listener @returns {import("./index.js").Subscription} */
  handle(channel, listener) {
    const restart = (reason) => {
      if (!channel.listeners.has(listener)) return;
      channel.restart(reason);
      this.changed();
    };
    const ended = () => !channel.listeners.has(listener);
    return {
      channel: channel.name,
      get filter() {
        return channel.filter;
      },
      get state() {
        return ended() ? "ended" : channel.state;
      },
      get error() {
        return channel.error;
      },
      setFilter: (filter) => {
        if (ended() || canonical(filter) === canonical(channel.filter)) return;
        channel.filter = filter;
        // What was kept stays until the relay has accepted the new filter.
        channel.reason = "filter_changed";
        channel.become("waiting");
        this.changed();
      },
      refresh: () => restart("refresh"),
      unsubscribe: () => {
        if (!channel.listeners.delete(listener)) return;
        channel.callOne(listener.handlers, "onState", ["ended", null]);
        this.changed();
      },
    };
  }

  /** Forget the channels that nobody listens to any more; the names of those that the relay still sends. */
  sweep() {
    const left = [];
    for (const { name, listeners, flowing, state } of this.byName.values()) {
      if (listeners.size) continue;
      this.byName.delete(name);
      if (flowing || state === "asked") left.push(name);
    }
    return left;
  }

  /** Ask for everything that waits, in as few requests as can be. @param {(message: any) => void} send */
  flush(send) {
    const left = this.sweep();
    if (left.length) send({ type: "unsubscribe", channels: left });
    for (const { request, channels } of this.waiting()) {
      request.id = ++this.lastRequest;
      this.requests.set(request.id, { channels, since: "since" in request });
      for (const channel of channels) channel.request = request.id;
      send(request);
    }
  }

  /** What waits, as requests: all that resume from one cursor share one. From here on they count as asked for. */
  waiting() {
    /** @type {Map<string, Channel[]>} */
    const groups = new Map();
    for (const channel of this.byName.values()) {
      if (channel.state !== "waiting" || !channel.listeners.size) continue;
      const resumes = channel.since !== null && !channel.flowing;
      const key = resumes ? "since " + channel.since : "snapshot " + channel.snapshot;
      groups.set(key, [...(groups.get(key) || []), channel]);
    }
    return [...groups.values()].map((channels) => {
      /** @type {any} */
      const request = { type: "subscribe", channels: channels.map(({ name }) => name), filters: {}, snapshot: 0 };
      for (const channel of channels) {
        const { name, filter, since, view, snapshot, flowing } = channel;
        if (Object.keys(filter).length) request.filters[name] = filter;
        request.snapshot = Math.max(request.snapshot, snapshot);
        if (since !== null && !flowing) {
          request.since = since;
          request.views = { ...request.views, [name]: view };
        }
        channel.become("asked");
      }
      return { request, channels };
    });
  }

  /**
   * Give a message to the channels it is about.
   * @param {any} message @param {{channels: Channel[], since: boolean}} [asked] the request it answers, where messages do not tell
   */
  receive(message, asked) {
    const channel = this.find(message.channel, asked);
    switch (message.type) {
      case "subscribed":
        return this.subscribed(message, asked);
      case "unsubscribed":
        if (message.reason !== "requested") this.each(message.channels, asked, (each) => this.ended(each, message.reason));
        return this.changed();
      case "resync":
        this.each(message.channels, asked, (each) => each.resync(message.reason));
        return this.changed();
      case "checkpoint":
        for (const each of asked ? asked.channels : this.byName.values()) each.checkpoint(message.cursor);
        if (this.settled) this.requests.clear();
        return this.changed();
      case "snapshot":
        return channel && channel.snapshotOf(message);
      case "withheld":
        return channel && channel.flowing && channel.withheld(message);
      case "recount":
        if (channel) channel.recount(message.reason);
        return this.changed();
      case "error":
        return this.refused(message, asked);
      default:
        // What still comes of a subscription that was let go of is nobody's.
        if (channel && channel.flowing && message.data) channel.data(message);
        if (message.complete) this.changed();
    }
  }

  /** A channel, if it is one that a message in answer to `asked` can be about. @param {string} name @param {any} asked */
  find(name, asked) {
    const channel = this.byName.get(name);
    return channel && (!asked || asked.channels.includes(channel)) ? channel : undefined;
  }

  /** @param {string[]} names @param {any} asked @param {(channel: Channel) => void} run */
  each(names, asked, run) {
    for (const name of names) {
      const channel = this.find(name, asked);
      if (channel) run(channel);
    }
  }

  subscribed(message, asked) {
    const request = asked || this.requests.get(message.id);
    this.each(Object.keys(message.channels), asked, (channel) => {
      // An answer to what was asked before something else was asked says nothing.
      if (message.id !== undefined && channel.request !== message.id) return;
      channel.subscribed(message.channels[channel.name], request ? request.since : true);
    });
    this.changed();
  }

  /** @param {any} message @param {any} asked */
  refused(message, asked) {
    const request = this.requests.get(message.id);
    const named = message.channel ? [this.find(message.channel, asked)] : request ? request.channels : [];
    for (const channel of named) {
      if (!channel || (message.id !== undefined && channel.request !== message.id)) continue;
      const error = told({ ...message, channel: channel.name });
      if (error.retryable) this.askAgain(channel);
      else channel.refuse(error);
      this.report(error);
    }
    this.changed();
  }

  /** @param {Channel} channel @param {string} reason */
  ended(channel, reason) {
    channel.unsubscribed(reason);
    if (reason === "snapshot_failed") this.askAgain(channel);
  }

  /** After a pause, with the same right to what is missed. @param {Channel} channel */
  askAgain(channel) {
    const { request } = channel;
    later(1000 + pause(channel.attempts++), () => {
      if (channel.request !== request || channel.state === "live") return;
      channel.become("waiting");
      this.changed();
    });
  }

  /** The token was accepted, perhaps with other rights: what was refused is asked for once more. @param {readonly string[]} granted */
  welcome(granted) {
    for (const channel of this.byName.values()) {
      if (channel.state === "refused" && granted.includes(channel.name)) channel.become("waiting");
    }
  }

  /** The connection is gone. */
  cut() {
    this.requests.clear();
    for (const channel of this.byName.values()) channel.cut();
  }

  /** Whether nothing is on its way. */
  get settled() {
    for (const { state, listeners } of this.byName.values()) {
      if (listeners.size && state !== "live" && state !== "refused") return false;
    }
    return true;
  }
}

// A relay in memory: sockets that a test opens, feeds and closes, with or without the code that a close should have.

/** The client under test: as delivered, or the bundle that CLIENT names. */
export const { connect, RelayError } = await import(process.env.CLIENT ?? "../../relay/web/client/index.js");
export const { liveList, liveNumbers } = await import(process.env.CLIENT_LIST ?? "../../relay/web/client/list.js");

export const sockets = [];

export class FakeSocket {
  constructor(url, protocols, options) {
    Object.assign(this, { url, protocols, options, readyState: 0, sent: [] });
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }
  /** The token that came with it, on whichever way. */
  get token() {
    const header = this.options?.headers?.Authorization;
    return header ? header.replace("Bearer ", "") : this.protocols[1]?.replace("bearer.", "");
  }
  asked(type) {
    return this.sent.filter((message) => message.type === type);
  }
  open() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }
  say(...messages) {
    for (const message of messages) this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
    return this;
  }
  welcome(fields) {
    const channels = ["transactions", "disputes", "metrics"];
    return this.open().say({ type: "welcome", subject: "ana", channels, heartbeat_seconds: 5, ...fields });
  }
  end(event) {
    this.readyState = 3;
    this.onclose?.(event);
  }
}

/** Let promises and timers that are due have their turn. */
export const breathe = () => new Promise((resolve) => setTimeout(resolve, 0));

export async function until(condition) {
  for (let tries = 0; tries < 2000; tries += 1) {
    const found = condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("it never came true: " + condition);
}

/** A client of the fake relay, and the socket it opens first. */
export async function begin(options = {}) {
  sockets.length = 0;
  const client = connect({
    url: "wss://relay.example",
    token: () => "a-token",
    WebSocket: FakeSocket,
    fallback: false,
    backoff: { initialMs: 5, maxMs: 20 },
    ...options,
  });
  return { client, socket: await until(() => sockets[0]) };
}

export const subscribed = (channels, fields) => ({
  type: "subscribed",
  channels: Object.fromEntries(channels.map((name) => [name, { filter: {}, view: "v1", resumed: false, replayed: 0, ...fields }])),
});
export const change = (id, row, fields = {}, data = {}) => ({
  type: "transaction_update",
  channel: "transactions",
  id: String(id),
  timestamp: "2026-01-01T00:00:00Z",
  data: { action: "updated", transaction: row, changed: [], ...data },
  ...fields,
});
export const checkpoint = (cursor) => ({ type: "checkpoint", cursor, as_of: "2026-01-01T00:00:00Z" });
export const snapshot = (rows, truncated = false) => ({ type: "snapshot", channel: "transactions", rows, truncated });

/** Answer the last subscribe of a socket, with rows, so that it is live. */
export function fill(socket, rows = [], cursor = "C1", fields = {}) {
  const asked = socket.asked("subscribe").at(-1);
  socket.say({ ...subscribed(asked.channels, fields), id: asked.id });
  if (!fields.resumed) socket.say(snapshot(rows, fields.truncated));
  socket.say(checkpoint(cursor));
}

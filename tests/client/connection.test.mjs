import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { begin, breathe, change, checkpoint, fill, snapshot, sockets, subscribed, until } from "./fakes.mjs";

let client;
const start = async (options) => {
  const begun = await begin(options);
  client = begun.client;
  return begun.socket;
};
afterEach(() => client?.close());

test("the token travels beside the address and never in it", async () => {
  const socket = await start();
  assert.equal(socket.url, "wss://relay.example/ws/payment-monitoring/");
  assert.equal(socket.token, "a-token");
});

test("a token that cannot be a subprotocol is the first message", async () => {
  const socket = await start({ token: "not a (token)" });
  if (socket.options) return; // in a header it can be anything
  assert.deepEqual(socket.protocols, ["relay.v1"]);
  assert.deepEqual(socket.open().sent, [{ type: "auth", token: "not a (token)" }]);
});

test("a close without a code, an error without a close and a code are all come back from", async () => {
  const socket = await start();
  socket.welcome().end({});
  const second = await until(() => sockets[1]);
  second.welcome().end(undefined);
  const third = await until(() => sockets[2]);
  third.open().end({ code: 1013, reason: "" });
  const fourth = await until(() => sockets[3]);
  fourth.onerror({});
  await until(() => sockets[4]);
  assert.equal(client.status.state, "stale");
});

test("a socket that never opens is given up", async () => {
  await start({ connectTimeoutMs: 20 });
  await until(() => sockets[2]);
  assert.equal(sockets[0].readyState, 3);
});

test("after an outage in which WebSocket was given up it is tried again before long", async () => {
  const polled = [];
  const fetch = (url) => polled.push(url) && new Promise(() => {});
  const first = await start({ fallback: true, fetch, wayBackMs: 20000 });
  client.subscribe("transactions");
  first.end({ code: 1006 });
  (await until(() => sockets[1])).end({ code: 1006 });
  await until(() => polled[0]);
  (await until(() => sockets[2])).welcome();
  assert.equal(client.status.transport, "websocket");
});

test("the token is asked for before every connection, and once however many wait for it", async () => {
  const answers = [];
  const starting = start({ token: () => new Promise((resolve) => answers.push(resolve)) });
  await until(() => answers.length === 1);
  answers[0]("one");
  const socket = await starting;
  socket.welcome().say({ type: "token_expiring" }, { type: "token_expiring" });
  await breathe();
  assert.equal(answers.length, 2);
  client.reconnect(); // while a fresh token is on its way
  await breathe();
  assert.equal(answers.length, 2);
  answers[1]("two");
  assert.equal((await until(() => sockets[1])).token, "two");
});

test("a refused token is asked for once more; the same one again means signed out", async () => {
  const tokens = ["one", "two", "two"];
  const socket = await start({ token: () => tokens.shift() });
  socket.open().say({ type: "error", code: "token_expired", message: "expired", retryable: true }).end({ code: 4001 });
  const second = await until(() => sockets[1]);
  assert.equal(second.token, "two");
  second.open().end({ code: 4001 });
  await until(() => client.status.state === "signed-out");
  assert.equal(client.status.error.code, "token_refused");
  assert.equal(client.status.error.advice, "sign-in");
});

test("4003 is final, and nothing wakes it", async () => {
  const socket = await start();
  socket.open().end({ code: 4003, reason: "" });
  assert.equal(client.status.state, "signed-out");
  client.wake();
  await breathe();
  assert.equal(sockets.length, 1);
});

test("a token callback that fails is tried again, and one that has nothing means signed out", async () => {
  let asked = 0;
  await start({ token: () => ((asked += 1) < 3 ? Promise.reject(new Error("offline")) : "late") });
  assert.equal(asked, 3);
});

test("no token means signed out", async () => {
  let status;
  const starting = start({ token: () => null, onStatus: (now) => (status = now) });
  starting.catch(() => {}); // there never is a socket
  await until(() => status?.state === "signed-out");
  assert.equal(status.error.code, "no_token");
  assert.equal(status.error.retryable, false);
});

test("a token about to expire is replaced in place", async () => {
  const tokens = ["one", "two"];
  const socket = await start({ token: () => tokens.shift() });
  socket.welcome().say({ type: "token_expiring", expires_at: "2026-01-01T00:00:00Z" });
  await breathe();
  assert.deepEqual(socket.asked("auth"), [{ type: "auth", token: "two" }]);
  assert.equal(sockets.length, 1);
});

test("a pause that the relay asks for is kept, also by whoever wakes up", async () => {
  const socket = await start();
  socket.welcome().say({ type: "goodbye", code: "restart", reason: "", retry_after_ms: 60 });
  const lost = Date.now();
  client.wake();
  await breathe();
  assert.equal(sockets.length, 1);
  assert.ok(client.status.retryAt - lost >= 55);
  await until(() => sockets[1]);
  assert.ok(Date.now() - lost >= 55);
});

test("close() stays closed whatever wakes up, may be called twice, and reconnect() begins again", async () => {
  const socket = await start();
  socket.welcome();
  client.close();
  client.close();
  client.wake();
  await breathe();
  assert.equal(socket.closedWith, 1000);
  assert.equal(client.status.state, "closed");
  assert.equal(sockets.length, 1);
  client.reconnect();
  await until(() => sockets[1]);
});

test("a connection that has gone silent is left", async () => {
  const socket = await start();
  socket.welcome({ heartbeat_seconds: 0.01 });
  await until(() => sockets[1]);
  assert.ok(socket.asked("ping").length > 0);
  assert.equal(client.status.error.code, "silent");
});

test("everything subscribed in one go is one request, and so is resuming it", async () => {
  const socket = await start();
  client.subscribe("transactions", { filter: { status: "failed" } });
  client.subscribe("disputes");
  socket.welcome();
  await breathe();
  assert.equal(socket.asked("subscribe").length, 1);
  const [{ id, ...request }] = socket.asked("subscribe");
  assert.deepEqual(request, {
    type: "subscribe",
    channels: ["transactions", "disputes"],
    filters: { transactions: { status: "failed" } },
    snapshot: 0,
  });
  socket.say({ ...subscribed(["transactions", "disputes"]), id }, checkpoint("C1"));
  assert.equal(client.status.state, "live");
  socket.end({ code: 1006 });
  assert.equal(client.status.state, "stale");
  const second = await until(() => sockets[1]);
  second.welcome();
  await breathe();
  const [resumed] = second.asked("subscribe");
  assert.equal(resumed.since, "C1");
  assert.deepEqual(resumed.views, { transactions: "v1", disputes: "v1" });
  assert.equal(client.status.state, "catching-up");
});

test("only a checkpoint that covers a channel is kept for it", async () => {
  const socket = await start();
  client.subscribe("transactions");
  socket.welcome();
  await breathe();
  fill(socket, [], "C1");
  client.subscribe("disputes", { snapshot: 5 });
  await breathe();
  socket.say(checkpoint("C2")).end({ code: 1006 });
  const second = await until(() => sockets[1]);
  second.welcome();
  await breathe();
  const requests = second.asked("subscribe").map(({ channels, since, snapshot: rows }) => ({ channels, since, rows }));
  assert.deepEqual(requests, [
    { channels: ["transactions"], since: "C2", rows: 0 },
    { channels: ["disputes"], since: undefined, rows: 5 },
  ]);
});

test("each event comes once: ids since the last new checkpoint are remembered, and forgotten with a resync", async () => {
  const socket = await start();
  const ids = [];
  client.subscribe("transactions", {}, { onEvent: ({ id }) => ids.push(id), onReset: () => ids.push("reset") });
  socket.welcome();
  await breathe();
  fill(socket, [], "C1");
  socket.say(change(1, { id: "a" }), checkpoint("C2"), change(2, { id: "a" }), checkpoint("C2"));
  socket.end({ code: 1006 });
  const second = await until(() => sockets[1]);
  second.welcome();
  await breathe();
  assert.equal(second.asked("subscribe")[0].since, "C2");
  const { id } = second.asked("subscribe")[0];
  second.say({ ...subscribed(["transactions"], { resumed: true }), id }, change(2, { id: "a" }), change(3, { id: "a" }));
  second.say({ type: "resync", channels: ["transactions"], reason: "epoch" }, snapshot([]), change(2, { id: "b" }));
  assert.deepEqual(ids, ["1", "2", "3", "reset", "2"]);
});

test("a resync that is cut short begins anew instead of resuming", async () => {
  const socket = await start();
  client.subscribe("transactions");
  socket.welcome();
  await breathe();
  fill(socket, [], "C1");
  socket.say({ type: "resync", channels: ["transactions"], reason: "epoch" }).end({ code: 1006 });
  const second = await until(() => sockets[1]);
  second.welcome();
  await breathe();
  assert.equal(second.asked("subscribe")[0].since, undefined);
});

test("messages of unknown types, of unknown channels and that are no JSON are passed over", async () => {
  const socket = await start();
  let events = 0;
  client.subscribe("transactions", {}, { onEvent: () => (events += 1) });
  socket.welcome();
  await breathe();
  fill(socket);
  socket.say({ type: "party" }, { type: "row_change", channel: "elsewhere", id: "1", data: {} }, "{", "[]", "null");
  socket.say({ type: "transaction_update", channel: "transactions", id: "7", timestamp: "", data: { action: "created", transaction: { id: "1" }, more: 1 }, extra: {} });
  assert.equal(events, 1);
  assert.equal(client.status.state, "live");
});

test("a handler that throws disturbs nobody, and is reported", async () => {
  const errors = [];
  const socket = await start({ onError: (error) => errors.push(error.code), onStatus: () => { throw new Error("mine"); } });
  let seen = 0;
  client.subscribe("transactions", {}, { onEvent: () => { throw new Error("broken"); } });
  client.subscribe("transactions", {}, { onEvent: () => (seen += 1) });
  socket.welcome();
  await breathe();
  fill(socket);
  socket.say(change(1, { id: "a" }));
  assert.equal(seen, 1);
  assert.deepEqual(errors, ["handler_failed"]);
});

test("a channel is shared by all who want the same, and left by the last", async () => {
  const socket = await start();
  const first = client.subscribe("transactions");
  const second = client.subscribe("transactions");
  assert.throws(() => client.subscribe("transactions", { filter: { status: "x" } }), { code: "filter_conflict" });
  socket.welcome();
  await breathe();
  fill(socket);
  first.unsubscribe();
  await breathe();
  assert.equal(socket.asked("unsubscribe").length, 0);
  second.unsubscribe();
  second.unsubscribe();
  await breathe();
  assert.deepEqual(socket.asked("unsubscribe"), [{ type: "unsubscribe", channels: ["transactions"] }]);
});

test("who comes late gets a snapshot of its own time, and so does everybody else", async () => {
  const socket = await start();
  const told = [];
  client.subscribe("transactions", { snapshot: 2 }, { onSnapshot: (rows) => told.push(rows.length), onReset: ({ reason }) => told.push(reason) });
  socket.welcome();
  await breathe();
  fill(socket, [{ id: "1" }, { id: "2" }]);
  const late = [];
  client.subscribe("transactions", { snapshot: 2 }, { onSnapshot: (rows) => late.push(rows.length) });
  await breathe();
  fill(socket, [{ id: "1" }]);
  assert.deepEqual(told, [2, "joined", 1]);
  assert.deepEqual(late, [1]);
});

test("while capture is degraded the status says so, and what it is complete up to", async () => {
  const socket = await start();
  client.subscribe("transactions");
  socket.welcome();
  await breathe();
  fill(socket);
  socket.say({ type: "capture_status", status: "degraded", since: "2026-01-01T00:00:00Z", reason: "the database cannot be reached" });
  assert.equal(client.status.state, "degraded");
  assert.equal(client.status.degraded.reason, "the database cannot be reached");
  socket.say({ type: "capture_status", status: "ok", since: "2026-01-01T00:00:01Z" });
  assert.equal(client.status.state, "live");
});

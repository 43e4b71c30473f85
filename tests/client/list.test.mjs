import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { begin, breathe, change, checkpoint, fill, liveList, liveNumbers, snapshot, subscribed } from "./fakes.mjs";

let client;
afterEach(() => client?.close());

const row = (id, amount, status = "pending") => ({ id: String(id), amount: String(amount), status, created_at: `2026-01-01T00:00:${String(id).padStart(2, "0")}Z` });

/** A live list over a fake relay that begins with `rows`. */
async function listOf(rows, options = {}, truncated = false) {
  const begun = await begin();
  client = begun.client;
  const list = liveList(client, "transactions", { throttleMs: 0, ...options });
  begun.socket.welcome();
  await breathe();
  fill(begun.socket, rows, "C1", { truncated });
  return { list, socket: begun.socket };
}
const ids = (list) => list.rows.map(({ id }) => id).join(" ");

test("newest first, and right through created, updated, left, entered and deleted", async () => {
  const { list, socket } = await listOf([row(2, 1), row(1, 1)]);
  assert.equal(ids(list), "2 1");
  socket.say(change(1, row(3, 1), {}, { action: "created" }));
  socket.say(change(2, row(1, 9), {}, { action: "status_changed", changed: ["amount"] }));
  assert.equal(ids(list), "3 2 1");
  assert.equal(list.get("1").amount, "9");
  socket.say(change(3, { id: "2" }, { membership: "left" }), change(4, { id: "3" }, {}, { action: "deleted" }));
  assert.equal(ids(list), "1");
  socket.say(change(5, row(2, 5), { membership: "entered" }), change(6, { id: "77" }, {}, { action: "deleted" }));
  assert.equal(ids(list), "2 1");
  assert.equal(list.state, "live");
  assert.equal(list.truncated, false);
});

test("a resync keeps what is shown until the snapshot replaces it", async () => {
  const { list, socket } = await listOf([row(2, 1), row(1, 1)]);
  socket.say({ type: "resync", channels: ["transactions"], reason: "truncated" });
  assert.equal(ids(list), "2 1");
  assert.equal(list.state, "filling");
  socket.say(snapshot([row(5, 1)]), change(9, row(6, 1)), checkpoint("C2"));
  assert.equal(ids(list), "6 5");
  assert.equal(list.state, "live");
});

test("what is not granted any more is not shown any more", async () => {
  const { list, socket } = await listOf([row(1, 1)]);
  socket.say({ type: "unsubscribed", channels: ["transactions"], reason: "not_granted" });
  assert.equal(ids(list), "");
  assert.equal(list.state, "refused");
  assert.equal(list.error.code, "not_granted");
});

test("amounts are sorted as numbers, moments as moments, and what is missing comes last", async () => {
  const { list } = await listOf([row(1, "9.50"), row(2, "100.00"), row(3, "-3"), row(4, "9.5000001"), { ...row(5, 1), amount: null }], { sort: "amount" });
  assert.equal(ids(list), "3 1 4 2 5");
  list.set({ sort: ["-amount"] });
  assert.equal(ids(list), "2 4 1 3 5");
  list.set({ sort: (a, b) => Number(a.id) - Number(b.id), where: ({ amount }) => amount !== "-3" });
  assert.equal(ids(list), "1 2 4 5");
  const [early, late] = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:01.5Z"];
  list.set({ sort: "created_at", where: null });
  list.close();
  const { comparator } = await import("../../relay/web/client/order.js");
  assert.ok(comparator("at")({ at: early }, { at: late }) < 0);
});

test("it stays within its bounds, and a row below what is known does not come in by an update", async () => {
  const { list, socket } = await listOf([row(5, 1), row(4, 1), row(3, 1), row(2, 1)], { limit: 2, snapshot: 4 }, true);
  assert.equal(ids(list), "5 4");
  assert.equal(list.truncated, true);
  socket.say(change(1, row(1, 7)));
  assert.equal(list.get("1"), undefined);
  for (let id = 6; id < 60; id += 1) socket.say(change(id, row(id, 1), {}, { action: "created" }));
  assert.equal(ids(list), "59 58");
  assert.equal([...Array(60).keys()].filter((id) => list.get(String(id))).length, 4);
});

test("rows that have to move up, and were dropped, are asked for again", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const { list, socket } = await listOf([row(5, 1), row(4, 1)], { limit: 2 }, true);
  socket.say(change(1, { id: "5" }, {}, { action: "deleted" }));
  assert.equal(ids(list), "4");
  await breathe();
  await breathe();
  fill(socket, [row(4, 1), row(3, 1)], "C2", { truncated: true });
  assert.equal(ids(list), "4 3");
});

test("a snapshot that was cut in another order is called partial", async () => {
  const { list } = await listOf([row(3, 5), row(2, 9), row(1, 1)], { sort: "-amount", limit: 3 }, true);
  assert.equal(ids(list), "2 3 1");
  assert.equal(list.partial, true);
});

test("while paused nothing moves, and the number of rows that wait is told", async () => {
  const { list, socket } = await listOf([row(1, 1)]);
  list.pause();
  const before = list.rows;
  socket.say(change(1, row(2, 1)), change(2, row(2, 3)), change(3, row(1, 4)));
  assert.equal(list.rows, before);
  assert.equal(list.pending, 2);
  list.resume();
  assert.equal(ids(list), "2 1");
  assert.equal(list.pending, 0);
});

test("changes are told together, with what changed in which row", async () => {
  const { list, socket } = await listOf([row(1, 1)], { throttleMs: 20 });
  await new Promise((resolve) => setTimeout(resolve, 40));
  const told = [];
  list.subscribe((_, change) => told.push(change));
  for (let id = 1; id <= 500; id += 1) {
    socket.say(change(id, row(1, id), {}, { changed: id % 2 ? ["amount"] : ["status"] }));
  }
  assert.equal(told.length, 0);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(told.length, 1);
  assert.equal(told[0].events, 500);
  assert.deepEqual(told[0].touched.get("1"), { action: "updated", changed: ["amount", "status"] });
});

test("numbers are merged one level deep, and the whole replaces everything", async () => {
  const begun = await begin();
  client = begun.client;
  const numbers = liveNumbers(client, "metrics");
  const say = (data, complete) =>
    begun.socket.say({ type: "metrics_update", channel: "metrics", id: "x", timestamp: "", as_of: "2026-01-01T00:00:00Z", complete, data });
  begun.socket.welcome();
  await breathe();
  begun.socket.say({ ...subscribed(["metrics"]), id: begun.socket.asked("subscribe")[0].id });
  assert.equal(numbers.state, "filling");
  say({ metrics: { a: 1, b: 2 }, trend_data: { t: [1, 2] } }, true);
  assert.equal(numbers.state, "live");
  say({ metrics: { b: 3 } }, false);
  assert.deepEqual(numbers.data, { metrics: { a: 1, b: 3 }, trend_data: { t: [1, 2] } });
  begun.socket.say({ type: "recount", channel: "metrics", reason: "clock" });
  assert.equal(numbers.complete, false);
  say({ metrics: { a: 9 } }, false);
  assert.equal(numbers.data.metrics.a, 1);
  say({ metrics: { a: 5 } }, true);
  assert.deepEqual(numbers.data, { metrics: { a: 5 } });
  assert.equal(client.status.state, "live");
});

// What the dashboard knows of the connection, of the past and of its token, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";

const part = (name) => import(`../../relay/web/dashboard/${name}.js`);
const { Freshness } = await part("freshness");
const { describe } = await part("status");
const { FailureWatch } = await part("spike");
const { History } = await part("history");
const { OpenPayments } = await part("open-payments");
const { where } = await part("list-view");
const { Session } = await part("session");
const { when } = await part("format");
const { readSettings, takeToken, writeSettings } = await part("address");

const MINUTE = 60_000;
const NOON = Date.parse("2026-03-01T12:00:00Z");
const iso = (moment) => new Date(moment).toISOString();

test("an age does not depend on the reader's clock", () => {
  for (const wrong of [0, 7 * MINUTE, -7 * MINUTE]) {
    const fresh = new Freshness();
    assert.equal(fresh.age(NOON), null);
    fresh.hear(iso(NOON), NOON + wrong + 20);
    fresh.hear(iso(NOON + 5000), NOON + wrong + 9020); // this one took four seconds longer
    assert.equal(fresh.age(NOON + wrong + 9020), 4000);
    assert.equal(fresh.age(NOON + wrong + 19020), 14000);
    assert.equal(fresh.now(NOON + wrong + 20), NOON);
  }
});

const status = (changes) => ({
  state: "live",
  asOf: iso(NOON),
  since: NOON,
  heardAt: NOON,
  transport: "websocket",
  degraded: null,
  error: null,
  retryAt: null,
  heartbeatSeconds: 5,
  ...changes,
});

test("live is said only of what is fresh", () => {
  assert.equal(describe(status({}), 1000, NOON).label, "Live");
  assert.equal(describe(status({}), 21_000, NOON).state, "late");
  assert.equal(describe(status({ asOf: null }), null, NOON).state, "catching-up");
  assert.match(describe(status({ transport: "polling" }), 0, NOON).detail, /long polling/);
});

test("stale says since when, what was wrong, and when it is tried again", () => {
  const told = describe(
    status({ state: "stale", error: { message: "the connection was closed" }, retryAt: NOON + 4000 }),
    60_000,
    NOON,
  );
  assert.match(told.label, /^Stale since \d\d:\d\d:\d\d$/);
  assert.equal(told.detail, "next attempt in 4 s · the connection was closed");
  assert.equal(told.reconnect, true);
  assert.equal(describe(status({ state: "signed-out" }), 0, NOON).reconnect, false);
});

test("whoever was away is told what was missed, for a while", async () => {
  const { Comeback } = await part("comeback");
  const back = new Comeback();
  const returns = (...states) => states.forEach((state) => back.status({ state }, NOON));
  returns("connecting", "catching-up", "live");
  assert.equal(back.words(NOON), "");
  back.change();
  returns("stale");
  back.change();
  back.change();
  returns("catching-up", "live");
  assert.deepEqual([back.words(NOON), back.words(NOON + 20_000)], ["caught up with 2 changes", ""]);
  returns("stale");
  back.reset();
  returns("live");
  assert.equal(back.words(NOON), "synchronised anew");
});

const payment = (id, state, at, more = {}) => ({
  id: String(id),
  status: state,
  created_at: iso(at),
  updated_at: iso(at),
  ...more,
});

test("a spike is twice the usual and ten points more, of at least five failures, and holds until it was calm", () => {
  const watch = new FailureWatch();
  const past = Array.from({ length: 100 }, (_, i) => payment(i, i < 8 ? "failed" : "succeeded", NOON - 90 * MINUTE));
  watch.seed([...past, ...[1, 2, 3, 4].map((i) => payment(200 + i, "failed", NOON - MINUTE))]);
  assert.equal(watch.verdict(NOON).spiking, false);
  const event = (row, previousStatus, action = "status_changed") => ({
    row,
    action,
    previousStatus,
    timestamp: row.updated_at,
  });
  watch.event(event(payment(300, "failed", NOON, { metadata: { error_message: "issuer down" } }), "processing"));
  const found = watch.verdict(NOON);
  assert.deepEqual([found.spiking, found.failed, found.decided, found.base, found.rate], [true, 5, 5, 8, 100]);
  assert.deepEqual(found.reasons, [
    ["No reason given", 4],
    ["issuer down", 1],
  ]);
  for (let i = 0; i < 60; i++) watch.event(event(payment(400 + i, "succeeded", NOON + MINUTE), "processing"));
  assert.equal(watch.verdict(NOON + MINUTE).spiking, true);
  assert.equal(watch.verdict(NOON + 5 * MINUTE).spiking, true);
  assert.equal(watch.verdict(NOON + 7 * MINUTE).spiking, false);
});

test("what decides nothing is not counted: refunds, edits, and payments that are still open", () => {
  const watch = new FailureWatch();
  const event = (state, previousStatus, action) =>
    watch.event({ row: payment(1, state, NOON), action, previousStatus, timestamp: iso(NOON) });
  event("refunded", "succeeded", "status_changed");
  event("failed", null, "updated");
  event("processing", "pending", "status_changed");
  assert.equal(watch.verdict(NOON).decided, 0);
  event("failed", "processing", "status_changed");
  assert.equal(watch.verdict(NOON).decided, 1);
});

test("a history tells what was seen, what is only known, and where something may be missing", () => {
  const history = new History();
  const row = payment(7, "succeeded", NOON);
  const step = (at, action, state, previousStatus) => ({
    channel: "transactions",
    row: { ...row, status: state },
    action,
    previousStatus,
    membership: null,
    changed: ["status"],
    timestamp: iso(at),
  });
  assert.deepEqual(
    history.tell("transactions", row).map(({ kind, status }) => [kind, status]),
    [
      ["begun", null],
      ["found", "succeeded"],
    ],
  );
  history.event(step(NOON + 1000, "status_changed", "processing", "pending"));
  history.gap(iso(NOON + 1500));
  history.event(step(NOON + 2000, "status_changed", "succeeded", "processing"));
  assert.deepEqual(
    history.tell("transactions", row).map(({ kind, status }) => [kind, status]),
    [
      ["begun", "pending"],
      ["status_changed", "processing"],
      ["gap", undefined],
      ["status_changed", "succeeded"],
    ],
  );
});

test("histories are bounded, in rows and in steps", () => {
  const history = new History();
  const event = (id) =>
    history.event({ channel: "c", row: { id, status: "failed" }, action: "updated", timestamp: iso(NOON) });
  for (let i = 0; i < 5000; i++) event(String(i));
  for (let i = 0; i < 100; i++) event("4999");
  assert.equal(history.size, 2000);
  assert.equal(history.steps("c", "4999").length, 40);
  assert.equal(history.steps("c", "1").length, 0);
});

test("payments are stuck after an hour, the oldest first, and the oldest are kept", () => {
  const open = new OpenPayments();
  open.seed([
    payment(1, "pending", NOON - 61 * MINUTE),
    payment(2, "processing", NOON - 300 * MINUTE),
    payment(3, "pending", NOON - 59 * MINUTE),
    payment(4, "failed", NOON - 300 * MINUTE),
  ]);
  assert.deepEqual(
    open.stuck(NOON).map(({ id }) => id),
    ["2", "1"],
  );
  for (let i = 10; i < 3000; i++) open.event({ row: payment(i, "pending", NOON), gone: false });
  assert.equal(open.size, 2000);
  open.event({ row: payment(2, "succeeded", NOON), gone: false });
  assert.deepEqual(
    open.stuck(NOON).map(({ id }) => id),
    ["1"],
  );
});

const token = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

test("a token is renewed in time, and only then", async () => {
  let asked = 0;
  let now = NOON;
  const issue = () => token({ iat: now / 1000, exp: now / 1000 + 600 });
  const fetcher = async () => ((asked += 1), { ok: true, status: 200, json: async () => ({ token: issue() }) });
  const session = new Session({ tokenUrl: "/token", fetcher, now: () => now });
  const first = await session.get();
  assert.equal(await session.get(), first);
  assert.equal(asked, 1);
  now += 520_000;
  assert.notEqual(await session.get(), first);
  session.refused();
  await session.get();
  assert.equal(asked, 3);
  session.clear();
  assert.equal(await session.get(), null);
});

test("who has to sign in at the backend has no token, and an outage there is no sign-out", async () => {
  const session = (answer) => new Session({ tokenUrl: "/token", fetcher: async () => answer });
  assert.equal(await session({ status: 403 }).get(), null);
  assert.equal(
    await session({ status: 200, ok: true, redirected: true, headers: new Map([["Content-Type", "text/html"]]) }).get(),
    null,
  );
  await assert.rejects(session({ status: 502, ok: false }).get());
});

test("the token leaves the address, the rest of it stays", () => {
  const place = { pathname: "/", search: "", hash: "#token=a.b.c&status=failed" };
  const past = { state: null, replaceState: (_, __, url) => (place.hash = url.slice(1)) };
  assert.equal(takeToken(place, past), "a.b.c");
  assert.deepEqual(readSettings(place), { status: "failed" });
  writeSettings({ status: "", q: "x y" }, place, past);
  assert.equal(place.hash, "#q=x+y");
  writeSettings({}, place, past);
  assert.equal(place.hash, "");
});

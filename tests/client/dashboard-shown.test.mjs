// What the dashboard shows and in which order, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";

const part = (name) => import(`../../relay/web/dashboard/${name}.js`);
const { order, read, turn, where, write } = await part("list-view");
const { byDeadline, deadline } = await part("deadline");
const { csv } = await part("csv");
const { Fresh } = await part("fresh");
const { counts, large } = await part("metrics");
const { ticks } = await part("scale");
const { money, span, when } = await part("format");

const MINUTE = 60_000;
const NOON = Date.parse("2026-03-01T12:00:00Z");
const iso = (moment) => new Date(moment).toISOString();

test("filter and search find what they name, and every word has to be there", () => {
  const row = {
    id: "12",
    status: "failed",
    customer_name: "Ada Costa",
    customer_email: "ada@example.org",
    amount: "49.00",
    payment_intent_id: "pi_abc",
  };
  const shown = (statuses, query) => (where({ statuses: new Set(statuses), query }) ?? (() => true))(row);
  assert.equal(where({ statuses: new Set(), query: "  " }), null);
  assert.deepEqual(
    [
      shown(["failed"], ""),
      shown(["pending"], ""),
      shown([], "ADA 49"),
      shown([], "ada 50"),
      shown(["failed"], "pi_a"),
    ],
    [true, false, true, false, true],
  );
});

test("the address and the list say the same", () => {
  const settings = { status: "failed,refunded", q: "ada", sort: "-amount" };
  assert.deepEqual(write(read(settings)), settings);
  assert.deepEqual(write(read({})), { status: "", q: "", sort: "" });
  assert.equal(read({ sort: "nonsense" }).sort, "-created_at");
});

test("amounts sort as numbers, and a heading turns the order", () => {
  const rows = ["9.00", "100.00", "20.00"].map((amount, id) => ({ id: String(id), amount, created_at: iso(NOON) }));
  assert.deepEqual(
    [...rows].sort(order("-amount")).map((row) => row.amount),
    ["100.00", "20.00", "9.00"],
  );
  assert.deepEqual(
    [turn("-created_at", "amount"), turn("-amount", "amount"), turn("amount", "amount"), turn("-amount", "customer")],
    ["-amount", "amount", "-amount", "customer"],
  );
});

test("where the status must not be filtered by, all rows are asked for and chosen here", async () => {
  const asked = [];
  const subscription = {
    state: "asked",
    error: null,
    setFilter: (filter) => asked.push(filter),
    unsubscribe() {},
    refresh() {},
  };
  let handlers;
  const client = { subscribe: (channel, { filter }, given) => ((handlers = given), asked.push(filter), subscription) };
  const { openRows } = await part("open-rows");
  const told = new Promise((resolve) => {
    const list = openRows(
      client,
      "disputes",
      ["needs_response"],
      { sort: byDeadline },
      () => list.rows.length && resolve(list.rows),
    );
  });
  Object.assign(subscription, { state: "refused", error: { code: "filter_refused" } });
  handlers.onState("refused", subscription.error);
  await new Promise((resolve) => setTimeout(resolve, 250));
  handlers.onSnapshot(
    ["needs_response", "won", "***"].map((state, id) => ({ id: String(id), status: state })),
    { truncated: false },
  );
  assert.deepEqual((await told).map((row) => row.status).sort(), ["***", "needs_response"]);
  assert.deepEqual(asked, [{ status: ["needs_response"] }, {}]);
});

test("disputes that wait for an answer come by deadline, the others after them", () => {
  const dispute = (id, state, hours, evidence_submitted = false) => ({
    id,
    status: state,
    evidence_submitted,
    evidence_due_by: hours === null ? null : iso(NOON + hours * 60 * MINUTE),
  });
  const rows = [
    dispute("a", "under_review", -50),
    dispute("b", "needs_response", 30),
    dispute("c", "needs_response", null),
    dispute("d", "warning_needs_response", -1),
  ];
  assert.deepEqual(
    [...rows].sort(byDeadline).map(({ id }) => id),
    ["d", "b", "c", "a"],
  );
  assert.equal(deadline(rows[3], NOON).overdue, true);
  assert.equal(deadline(rows[1], NOON).soon, false);
  assert.equal(deadline(dispute("e", "needs_response", -1, true), NOON).label, "answered");
});

test("what is saved cannot run in a spreadsheet", () => {
  assert.equal(
    csv([{ id: "1", customer_name: '=HYPERLINK("x")', amount: "1.00" }]),
    'id,customer_name,amount\r\n1,"\'=HYPERLINK(""x"")",1.00',
  );
});

test("a crowd of changes does not flash, and nothing is fresh for long", () => {
  const fresh = new Fresh();
  const touched = (n) => new Map(Array.from({ length: n }, (_, i) => [String(i), { action: "updated" }]));
  fresh.add(touched(3), 0);
  assert.equal(fresh.look(100).get("1").crowd, false);
  fresh.add(touched(500), 1000);
  assert.equal(fresh.size, 200);
  assert.equal(fresh.look(1000).get("499").crowd, true);
  assert.equal(fresh.look(8000).size, 0);
});

test("a number that is not told has no tile", () => {
  const tiles = large({ success_rate_24h: 80.5, total_transactions_24h: 10, success_rate_30d: 90 }, "24h", "eur");
  assert.deepEqual(
    tiles.map(({ name, value, flag, more }) => [name, value, flag, more]),
    [
      ["success_rate", "80.50%", "below 90%", "\u22129.5 points on 30 days"],
      ["total_transactions", "10", null, ""],
    ],
  );
  assert.deepEqual(
    counts({ stuck_transactions: 0 }).map(({ name, flag }) => [name, flag]),
    [["stuck_transactions", null]],
  );
});

test("axes have round labels that reach over the data", () => {
  assert.deepEqual(ticks(0, 1), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(ticks(0, 4170), [0, 2000, 4000, 6000]);
  assert.deepEqual(ticks(83, 100), [80, 85, 90, 95, 100]);
});

test("values are written for people", () => {
  assert.equal(money("1234.5", "eur", { locale: "en" }), "€1,234.50");
  assert.equal(money("", "eur"), "–");
  assert.deepEqual([3000, 90_000, 65 * MINUTE, 30 * 60 * MINUTE, 240 * 60 * MINUTE].map(span), [
    "3 s",
    "1 min",
    "1 h 05 min",
    "1 d 6 h",
    "10 d",
  ]);
  assert.equal(when(null), "–");
});

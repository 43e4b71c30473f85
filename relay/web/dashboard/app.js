// The live page, put together: who signs in, what is subscribed, and which part shows what.

import { connect } from "../client/index.js";
import { liveNumbers } from "../client/list.js";
import { readSettings, writeSettings } from "./address.js";
import { Chart } from "./chart.js";
import { Comeback } from "./comeback.js";
import { Detail } from "./detail.js";
import { Disputes } from "./disputes.js";
import { $, text, toggle } from "./dom.js";
import { zone } from "./format.js";
import { Fraud } from "./fraud.js";
import { Freshness } from "./freshness.js";
import { Ledger } from "./ledger.js";
import { Notices } from "./notices.js";
import { Painter } from "./paint.js";
import { Payments } from "./payments.js";
import { relay } from "./place.js";
import { readConfig, Session } from "./session.js";
import { SignIn } from "./sign-in.js";
import { SpikeBanner } from "./spike-banner.js";
import { StatusBar } from "./status-bar.js";
import { Stuck } from "./stuck.js";
import { Tiles } from "./tiles.js";
import { Trouble } from "./trouble.js";
import { Webhooks } from "./webhooks.js";

const painter = new Painter();
const freshness = new Freshness();
const settings = readSettings();
const now = () => freshness.now(Date.now());
const mark = (...names) => painter.mark(...names);
const keep = (changes) => writeSettings(Object.assign(settings, changes));
const currency = () => payments.currency;
const announce = (words) => text($("announce"), words);
const open = (channel) => (row) => detail.open(channel, row);
let client = null;
let numbers = null;
let granted = null;

const comeback = new Comeback();
const ledger = new Ledger({ now, mark, comeback });
const notices = new Notices(() => mark("notices"));
const payments = new Payments({ settings, changed: keep, open: open("transactions"), mark: () => mark("payments") });
const tiles = new Tiles({
  window: settings.window || "24h",
  choose: (window) => keep({ window: window === "24h" ? "" : window }),
  currency,
});
const chart = new Chart({
  series: settings.series || "revenue",
  choose: (series) => keep({ series: series === "revenue" ? "" : series }),
  currency,
  mark: () => mark("chart"),
});
const disputes = new Disputes({ open: open("disputes"), mark: () => mark("disputes"), now });
const fraud = new Fraud({ open: open("fraud_alerts"), mark: () => mark("fraud"), now });
const stuck = new Stuck({
  payments: ledger.open,
  total: () => numbers?.data?.metrics?.stuck_transactions,
  open: open("transactions"),
  mark: () => mark("stuck"),
  now,
});
const webhooks = new Webhooks({ mark: () => mark("webhooks"), now });
const spike = new SpikeBanner({
  verdict: () => ledger.failures.verdict(now()),
  look: () => show({ status: "failed", q: "" }),
  announce,
});
const detail = new Detail({ find, related, history: ledger.history, began: () => ledger.history.began });

/** Channels that this page shows: how to begin, and the parts of the page they fill. */
const CHANNELS = {
  transactions: { parts: ["payments", "stuck"], begin: () => (ledger.attach(client), payments.attach(client)) },
  metrics: { parts: ["metrics", "trend"], begin: () => (numbers = liveNumbers(client, "metrics", counted)) },
  disputes: { parts: ["disputes"], begin: () => disputes.attach(client, ledger.note) },
  fraud_alerts: { parts: ["fraud"], begin: () => fraud.attach(client, ledger.note) },
  webhooks: { parts: ["webhooks"], begin: () => webhooks.attachEvents(client, ledger.note) },
  webhook_status: {
    parts: ["webhooks"],
    begin: () => webhooks.setHealth(liveNumbers(client, "webhook_status", () => mark("webhooks"))),
  },
};
const session = new Session();
const trouble = new Trouble({ notices, session, giveToken: () => signIn.offer("") });
const signIn = new SignIn((token) => {
  session.set(token);
  if (client) client.reconnect();
  else start();
});
const bar = new StatusBar({ freshness, comeback, reconnect: () => client?.reconnect(), signOut });

function counted(latest) {
  tiles.set(latest);
  chart.set(latest);
  mark("tiles", "chart", "stuck");
}

function start() {
  client = connect({ url: relay(), token: session.get, onStatus: changed, onError: trouble.error });
  // All of them, though the token may not grant all: only the answer tells which, and by long polling there is none
  // without a question.
  for (const { begin } of Object.values(CHANNELS)) begin();
  changed(client.status);
}

function changed(status) {
  freshness.hear(status.asOf, status.heardAt ?? Date.now());
  bar.set(status);
  if (status.subject && status.channels !== granted) arrange((granted = status.channels));
  signIn.status(status);
  trouble.status(status);
  text(
    $("about"),
    status.subject ? `Signed in as ${status.subject}. Times are ${zone()}; ages go by the clock of the database.` : "",
  );
  toggle($("sign-out"), Boolean(status.subject) && status.state !== "signed-out" && !session.renews);
  mark("bar");
}

/** Show the parts whose channels are granted, and only those. */
function arrange(channels) {
  const shown = new Set(channels.flatMap((name) => CHANNELS[name]?.parts ?? []));
  for (const part of new Set(Object.values(CHANNELS).flatMap(({ parts }) => parts))) toggle($(part), shown.has(part));
  const side = ["disputes", "fraud", "stuck", "webhooks"].some((part) => shown.has(part));
  toggle($("side"), side);
  document.querySelector(".columns").classList.toggle("single", !side);
  toggle($("main"), true);
}

function find(channel, id) {
  if (channel === "transactions") return payments.find(id);
  return (channel === "disputes" ? disputes : fraud).rows.find((row) => row.id === id);
}

function related(channel, row) {
  const intent = row.payment_intent_id;
  if (!intent) return [];
  const of = (name, rows) =>
    name === channel
      ? []
      : rows.filter((each) => each.payment_intent_id === intent).map((each) => ({ channel: name, row: each }));
  return [...of("transactions", payments.rows), ...of("disputes", disputes.rows), ...of("fraud_alerts", fraud.rows)];
}

function show(changes) {
  keep(changes);
  payments.apply(settings);
  $("payments").scrollIntoView({ block: "start" });
}

function signOut() {
  // A new page: nothing of what was shown is left in memory.
  client?.close();
  session.clear();
  location.reload();
}

for (const [name, paint, ticks] of [
  ["bar", () => bar.paint(), true],
  ["notices", () => notices.paint()],
  ["tiles", () => tiles.paint()],
  ["chart", () => chart.paint()],
  ["payments", () => payments.paint(), true],
  ["disputes", () => disputes.paint(), true],
  ["fraud", () => fraud.paint(), true],
  ["stuck", () => stuck.paint(), true],
  ["webhooks", () => webhooks.paint(), true],
  ["spike", () => spike.paint(), true],
  ["detail", () => detail.paint()],
  ["trouble", () => trouble.watch({ withheld: { payments, disputes, fraud, webhooks } }), true],
])
  painter.add(name, paint, { ticks: Boolean(ticks) });
painter.start();

addEventListener("hashchange", () => {
  const token = session.takeFromAddress();
  for (const name of Object.keys(settings)) delete settings[name];
  Object.assign(settings, readSettings());
  payments.apply(settings);
  tiles.setWindow(settings.window || "24h");
  chart.setSeries(settings.series || "revenue");
  mark("tiles", "chart");
  if (token) client ? client.reconnect() : start();
});

const given = session.takeFromAddress();
session.tokenUrl = (await readConfig()).token_url ?? "";
if (given || session.renews) start();
else {
  text($("state-label"), "Not signed in");
  signIn.offer("");
}

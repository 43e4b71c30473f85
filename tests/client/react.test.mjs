import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { parseHTML } from "linkedom";
import { breathe, change, checkpoint, fill, FakeSocket, sockets, until } from "./fakes.mjs";

const { window } = parseHTML("<!doctype html><html><body></body></html>");
for (const name of ["document", "HTMLElement", "HTMLIFrameElement", "Node", "Element"]) globalThis[name] = window[name];
globalThis.window = window;
globalThis.navigator ??= { userAgent: "" };
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const { StrictMode, act, createElement: h, useState } = await import("react");
const { createRoot } = await import("react-dom/client");
const { RelayProvider, useChannel, useLiveList, useNumbers, useStatus, useRelay } = await import("../../relay/web/client/react.js");

const roots = [];
let number = 0;
const row = (id, amount = "1") => ({ id: String(id), amount, created_at: `2026-01-01T00:00:0${id}Z` });

/** Mount `what` below a provider in StrictMode; every test has a relay of its own. */
async function mount(what, url = `wss://relay${(number += 1)}.example`) {
  sockets.length = 0;
  const host = document.createElement("div");
  document.body.appendChild(host);
  const root = createRoot(host);
  roots.push(root);
  const options = { url, token: () => "a-token", WebSocket: FakeSocket, fallback: false };
  const show = (element) => act(async () => root.render(h(StrictMode, null, h(RelayProvider, options, element))));
  await show(what);
  return { host, show, url, root };
}

afterEach(async () => {
  for (const root of roots.splice(0)) await act(async () => root.unmount());
  for (const socket of sockets) socket.onclose = null;
});

function Payments({ sort, deps, onEvent }) {
  const list = useLiveList("transactions", { throttleMs: 0, sort, onEvent }, deps);
  return h("p", null, list.state + ":" + list.rows.map(({ id }) => id).join(" "));
}
const Connection = () => h("b", null, useStatus().state);

test("mounted twice by StrictMode, there is one socket, one request, and each event once", async () => {
  const events = [];
  const { host } = await mount(h(Payments, { onEvent: ({ id }) => events.push(id) }));
  await act(breathe);
  assert.equal(sockets.length, 1);
  await act(async () => sockets[0].welcome());
  assert.equal(sockets[0].asked("subscribe").length, 1);
  assert.equal(sockets[0].asked("unsubscribe").length, 0);
  await act(async () => fill(sockets[0], [row(1)]));
  await act(async () => sockets[0].say(change(1, row(2)), checkpoint("C2")));
  assert.equal(host.textContent, "live:2 1");
  assert.deepEqual(events, ["1"]);
});

test("all components, and providers of the same address, share one connection", async () => {
  const { host, url } = await mount([h(Connection, { key: 1 }), h(Payments, { key: 2 })]);
  await act(breathe);
  const [socket] = sockets;
  const other = await mount(h(Connection), url);
  sockets.push(socket);
  await act(breathe);
  assert.deepEqual(sockets, [socket]);
  await act(async () => socket.welcome());
  await act(async () => fill(socket, [row(1)]));
  assert.equal(host.textContent, "livelive:1");
  assert.equal(other.host.textContent, "live");
});

test("unmounting unsubscribes, and what is mounted again soon keeps the connection", async () => {
  const { show } = await mount(h(Payments));
  await act(breathe);
  await act(async () => sockets[0].welcome());
  await act(async () => fill(sockets[0], [row(1)]));
  await show(null);
  await act(breathe);
  assert.equal(sockets[0].asked("unsubscribe").length, 1);
  await show(h(Payments));
  await act(breathe);
  assert.equal(sockets[0].asked("subscribe").length, 2);
  assert.equal(sockets.length, 1);
});

test("the connection ends when the last provider is gone", async () => {
  const { root } = await mount(h(Connection));
  await act(breathe);
  const [socket] = sockets;
  await act(async () => root.unmount());
  await until(() => socket.closedWith === 1000);
});

test("options that are new objects in each render change nothing; a new sort counts when its dependency changes", async () => {
  let again;
  function Page() {
    const [descending, setDescending] = useState(false);
    again = setDescending;
    return h(Payments, { sort: [descending ? "-amount" : "amount"], deps: [descending] });
  }
  const { host } = await mount(h(Page));
  await act(breathe);
  await act(async () => sockets[0].welcome());
  await act(async () => fill(sockets[0], [row(1, "9.00"), row(2, "10.00")]));
  assert.equal(host.textContent, "live:1 2");
  await act(async () => again(true));
  assert.equal(host.textContent, "live:2 1");
  assert.equal(sockets[0].asked("subscribe").length, 1);
});

test("the latest handler is called, and a filter conflict is told instead of thrown", async () => {
  const heard = [];
  function Listener({ name, filter }) {
    useChannel("transactions", { filter }, { onEvent: ({ id }) => heard.push(name + id), onError: ({ code }) => heard.push(code) });
    return null;
  }
  const { show } = await mount(h(Listener, { name: "a" }));
  await act(breathe);
  await act(async () => sockets[0].welcome());
  await act(async () => fill(sockets[0]));
  await show([h(Listener, { name: "b", key: 0 }), h(Listener, { name: "c", key: 1, filter: { status: "x" } })]);
  await act(async () => sockets[0].say(change(1, row(1))));
  assert.ok(heard.includes("b1"));
  assert.ok(heard.includes("filter_conflict"));
  assert.ok(!heard.includes("a1"));
});

test("numbers, and the relay itself for everything else", async () => {
  let relay;
  function Numbers() {
    relay = useRelay();
    const { data, state } = useNumbers("metrics");
    return state + ":" + (data ? data.metrics.a : "");
  }
  const { host } = await mount(h(Numbers));
  await act(breathe);
  await act(async () => sockets[0].welcome());
  await act(async () => fill(sockets[0]));
  const numbers = { type: "metrics_update", channel: "metrics", id: "x", timestamp: "", as_of: "", complete: true, data: { metrics: { a: 7 } } };
  await act(async () => sockets[0].say(numbers));
  assert.equal(host.textContent, "live:7");
  await act(async () => relay.close());
  assert.equal(relay.status.state, "closed");
});

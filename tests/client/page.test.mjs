import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { begin, breathe, checkpoint, connect, fill, sockets, until } from "./fakes.mjs";

const ground = new EventTarget();
Object.assign(globalThis, {
  document: Object.assign(new EventTarget(), { visibilityState: "visible" }),
  location: { protocol: "https:", host: "relay.example" },
  addEventListener: ground.addEventListener.bind(ground),
  removeEventListener: ground.removeEventListener.bind(ground),
});
const on = (target, name) => target.dispatchEvent(new Event(name));
class Blocked {
  constructor() {
    throw new Error("blocked");
  }
}
let client;
const start = async (options) => {
  const begun = await begin(options);
  client = begun.client;
  return begun.socket;
};
afterEach(() => client?.close());

test("a page needs no address: the relay is where it came from", async () => {
  const socket = await start({ url: undefined });
  assert.equal(socket.url, "wss://relay.example/ws/payment-monitoring/");
});

test("an address of one's own keeps its path, and the long poll stands beside it", async () => {
  const socket = await start({ url: "http://relay.example:81/pay/ws/live/" });
  assert.equal(socket.url, "ws://relay.example:81/pay/ws/live/");
  const polled = [];
  const fetch = (url) => polled.push(url) && new Promise(() => {});
  client.close();
  client = connect({ url: "http://relay.example:81/pay/ws/live/", token: "t", fetch, WebSocket: Blocked, backoff: { initialMs: 1 } });
  client.subscribe("transactions", { filter: { status: "a b" }, snapshot: 5 });
  const url = await until(() => polled[0]);
  assert.equal(url, 'http://relay.example:81/pay/api/events?channels=transactions&snapshot=5&filters=' + encodeURIComponent('{"transactions":{"status":"a b"}}'));
});

for (const [failure, words] of [
  [new TypeError("Failed to fetch"), "the relay cannot be reached, or refuses this page"],
  [new SyntaxError("Unexpected token '<'"), "what answers is not the relay"],
]) {
  test(`a poll that fails says what a person can look into: ${words}`, async () => {
    const errors = [];
    const fetch = () => Promise.reject(failure);
    client = connect({ url: "https://relay.example", token: "t", fetch, WebSocket: Blocked, backoff: { initialMs: 1 }, onError: (error) => errors.push(error) });
    client.subscribe("transactions");
    const polled = await until(() => errors.find(({ code }) => code === "poll_failed"));
    assert.equal(polled.message, words);
  });
}

for (const [place, name] of [["document", "visibilitychange"], ["document", "resume"], ["window", "pageshow"], ["window", "online"]]) {
  test(`on ${name} a connected client asks for a sign of life, and one that waits connects at once`, async () => {
    const socket = await start({ backoff: { initialMs: 60000, maxMs: 60000 } });
    const target = place === "document" ? globalThis.document : ground;
    socket.welcome();
    on(target, name);
    assert.deepEqual(socket.asked("ping"), [{ type: "ping" }]);
    socket.say({ type: "pong" }).end({ code: 1006 });
    on(target, name);
    await until(() => sockets[1]);
  });
}

test("a page that is hidden wakes nobody", async () => {
  const socket = await start();
  socket.welcome();
  document.visibilityState = "hidden";
  on(document, "visibilitychange");
  document.visibilityState = "visible";
  assert.deepEqual(socket.asked("ping"), []);
});

test("a connection that did not survive the sleep is left, and resumed", async (t) => {
  const socket = await start();
  client.subscribe("transactions");
  socket.welcome();
  await breathe();
  fill(socket);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  on(document, "visibilitychange");
  t.mock.timers.tick(3000);
  t.mock.timers.reset();
  assert.equal(client.status.state, "stale");
  assert.equal(client.status.error.code, "silent");
});

test("a page that is put away closes its socket and resumes when it is taken out again", async () => {
  const socket = await start();
  client.subscribe("transactions");
  socket.welcome();
  await breathe();
  fill(socket, [], "C1");
  on(ground, "pagehide");
  assert.equal(socket.closedWith, 1000);
  assert.equal(client.status.state, "stale");
  await breathe();
  assert.equal(sockets.length, 1);
  on(ground, "pageshow");
  const second = await until(() => sockets[1]);
  second.welcome();
  await breathe();
  assert.equal(second.asked("subscribe")[0].since, "C1");
  second.say(checkpoint("C1"));
});

test("a client that was closed has let go of the page", async () => {
  const socket = await start();
  socket.welcome();
  client.close();
  on(ground, "pageshow");
  await breathe();
  assert.equal(sockets.length, 1);
});

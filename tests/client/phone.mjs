import assert from "node:assert/strict";
import { test } from "node:test";
import { begin, breathe, sockets, until } from "./fakes.mjs";

test("the token travels in a header, and coming back to the app looks after the connection", async () => {
  const { client, socket } = await begin();
  assert.deepEqual(socket.protocols, ["relay.v1"]);
  assert.deepEqual(socket.options, { headers: { Authorization: "Bearer a-token" } });
  socket.welcome();
  globalThis.appBecomes("background");
  assert.deepEqual(socket.asked("ping"), []);
  globalThis.appBecomes("active");
  assert.deepEqual(socket.asked("ping"), [{ type: "ping" }]);
  client.close();
  globalThis.appBecomes("active");
  await breathe();
  assert.equal(sockets.length, 1);
});

test("no timer runs for more than a minute, however long the relay asks to wait", async () => {
  const { client, socket } = await begin();
  socket.welcome().say({ type: "goodbye", code: "restart", reason: "", retry_after_ms: 3600000 });
  await until(() => client.status.retryAt);
  client.close();
});

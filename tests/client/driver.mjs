// A program that uses the client as told on its standard input, and tells on its standard output what it was given.
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { connect, liveList, liveNumbers } from "./fakes.mjs";

const say = (what, rest) => console.log(JSON.stringify({ say: what, ...rest }));
const waiting = [];
/** Whether WebSocket gets through: yes, not at all ("blocked"), or only for a moment ("dropped"). */
let network = "open";

class Socket {
  constructor(...all) {
    if (network === "blocked") throw new Error("blocked");
    const socket = new WebSocket(...all);
    if (network === "dropped") socket.on("open", () => socket.terminate());
    return socket;
  }
}
const named = {};
let client;

const orders = {
  connect({ options = {} }) {
    client = connect({
      WebSocket: Socket,
      backoff: { initialMs: 50, maxMs: 400 },
      debug: (line) => say("log", { line }),
      onStatus: ({ error, ...status }) => say("status", { ...status, error: error && error.code }),
      onError: ({ code, retryable, advice, channel, message }) => say("error", { code, retryable, advice, channel, message }),
      ...options,
      token: () => new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        say("token");
      }),
    });
  },
  network({ is }) {
    network = is;
  },
  token({ token, error }) {
    const { resolve, reject } = waiting.shift();
    if (error) reject(new Error(error));
    else resolve(token);
  },
  subscribe({ name, channel, options }) {
    named[name] = client.subscribe(channel, options, {
      onSnapshot: (rows, { truncated }) => say("snapshot", { name, rows, truncated }),
      onEvent: (event) => say("event", { name, ...event }),
      onNumbers: (numbers) => say("numbers", { name, ...numbers }),
      onReset: ({ reason }) => say("reset", { name, reason }),
      onWithheld: ({ id }) => say("withheld", { name, id }),
      onState: (state) => say("state", { name, state }),
      onError: ({ code }) => say("refused", { name, code }),
    });
  },
  list({ name, channel, options }) {
    named[name] = liveList(client, channel, { throttleMs: 0, ...options });
  },
  numbers({ name, channel }) {
    named[name] = liveNumbers(client, channel);
  },
  read({ name }) {
    const { rows, data, state, truncated, partial, asOf, complete } = named[name];
    say("read", { name, rows, data, state, truncated, partial, asOf, complete });
  },
  call({ name, method, args = [] }) {
    (name ? named[name] : client)[method](...args);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...rest } = JSON.parse(line);
  orders[what](rest);
}
process.exit(0);

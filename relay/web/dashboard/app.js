// The live page: connects, subscribes to every channel its token may see, and lists what comes.
// It keeps its cursor in memory, so a lost connection loses no event.

import { add, forget } from "./events.js";

const FINAL = new Set([4001, 4003]);

const $ = (id) => document.getElementById(id);
const state = {
  token: "", socket: null, attempt: 0, timer: 0, cursor: null, views: {}, seen: new Set(), heard: 0, silence: 20000,
};

function show(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text || "";
}

const clock = (moment) => new Date(moment).toLocaleTimeString();

function takeToken() {
  const found = /(?:^|[#&])token=([^&]+)/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1]; // not an escape after all: let the relay judge it
  }
}

function address() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const base = location.pathname.replace(/[^/]*$/, "");
  return `${scheme}//${location.host}${base}ws/payment-monitoring/`;
}

function connect() {
  clearTimeout(state.timer);
  show("waiting", "Connecting");
  let socket;
  try {
    socket = new WebSocket(address(), ["relay.v1", `bearer.${state.token}`]);
  } catch {
    return refused("This is no token: it has characters that a token cannot have.");
  }
  state.socket = socket;
  state.heard = Date.now();
  let reason = "";
  let retry = 0;

  socket.onmessage = ({ data }) => {
    state.heard = Date.now();
    const message = JSON.parse(data);
    if (message.type === "error") reason = message.message;
    if (message.type === "goodbye") ({ reason, retry_after_ms: retry } = message);
    receive(socket, message);
  };
  socket.onclose = ({ code }) => {
    if (socket !== state.socket) return;
    if (FINAL.has(code)) return refused(reason || "The token was refused.");
    // Full jitter: many pages that lost the same relay do not come back in the same second.
    const ceiling = Math.min(30000, 500 * 2 ** Math.min(state.attempt++, 6));
    show("waiting", reason ? `Reconnecting: ${reason}` : "Reconnecting");
    state.timer = setTimeout(connect, retry || Math.random() * ceiling);
  };
}

function refused(why) {
  show("ended", "Not connected");
  notice(why);
  signIn();
}

function receive(socket, message) {
  switch (message.type) {
    case "welcome":
      state.silence = 4000 * message.heartbeat_seconds;
      welcome(socket, message.channels);
      break;
    case "subscribed":
      for (const [name, channel] of Object.entries(message.channels)) state.views[name] = channel.view;
      show("live", "Live");
      break;
    case "unsubscribed":
      // A failure of the moment: come back and ask again. What was taken away is gone, and said so.
      if (message.reason === "snapshot_failed") socket.close(4000);
      else notice(`${message.channels.join(", ")}: not streamed any more (${message.reason})`);
      break;
    case "snapshot":
      for (const row of [...message.rows].reverse()) add(message.channel, { row });
      break;
    case "checkpoint":
      state.attempt = 0;
      state.cursor = message.cursor;
      state.seen.clear();
      $("as-of").textContent = `complete up to ${clock(message.as_of)}`;
      break;
    case "resync":
      state.seen.clear();
      forget(message.channels);
      break;
    case "capture_status":
      if (message.status === "ok") show("live", "Live");
      else show("degraded", `May be incomplete since ${clock(message.since)}`);
      break;
    case "token_expiring":
      notice(`The token expires at ${clock(message.expires_at)}. Give a fresh one to stay connected.`);
      signIn();
      break;
    case "error":
      notice(message.message);
      break;
    case "withheld":
      if (once(message)) add(message.channel, { action: "withheld: its row could not be read", timestamp: null });
      break;
    default:
      if (message.data?.action && once(message)) {
        const { action, changed, previous_status, ...rest } = message.data;
        const [row] = Object.values(rest);
        add(message.channel, { row, action: message.membership || action, previous_status, timestamp: message.timestamp });
      }
  }
}

function welcome(socket, channels) {
  notice(channels.length ? "" : "This token may see no channel.");
  if (!channels.length) return;
  const request = { type: "subscribe", channels, snapshot: 20 };
  if (state.cursor) Object.assign(request, { since: state.cursor, views: state.views });
  socket.send(JSON.stringify(request));
}

function once(message) {
  const key = `${message.channel} ${message.id}`;
  return !state.seen.has(key) && Boolean(state.seen.add(key));
}

function signIn() {
  $("sign-in").hidden = false;
  $("token").focus();
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value.trim();
  $("token").value = "";
  $("sign-in").hidden = true;
  notice("");
  if (state.socket?.readyState === WebSocket.OPEN) state.socket.send(JSON.stringify({ type: "auth", token: state.token }));
  else connect();
});

function check() {
  // A phone that slept may hold a socket that is dead and does not know it.
  if (state.socket?.readyState === WebSocket.OPEN && Date.now() - state.heard > state.silence) state.socket.close(4000);
}

for (const name of ["visibilitychange", "pageshow", "online"]) addEventListener(name, check);
setInterval(check, 5000);

state.token = takeToken();
if (state.token) connect();
else signIn();

// The live page: connects, subscribes to every channel its token may see, and lists what comes.
// It keeps its cursor in memory, so a lost connection loses no event.

const SHOWN = 200;
const FINAL = new Set([4001, 4003]);

const $ = (id) => document.getElementById(id);
const state = { token: "", socket: null, attempt: 0, timer: 0, cursor: null, views: {}, seen: new Set(), heard: 0 };

function show(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text || "";
}

function takeToken() {
  const found = /(?:^|[#&])token=([^&]+)/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return decodeURIComponent(found[1]);
}

function address() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const base = location.pathname.replace(/[^/]*$/, "");
  return `${scheme}//${location.host}${base}ws/payment-monitoring/`;
}

function connect() {
  clearTimeout(state.timer);
  show("waiting", "Connecting");
  const socket = new WebSocket(address(), ["relay.v1", `bearer.${state.token}`]);
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
    if (FINAL.has(code)) {
      show("ended", "Disconnected");
      notice(reason || "The token was refused.");
      signIn();
      return;
    }
    // Full jitter: many pages that lost the same relay do not come back in the same second.
    const ceiling = Math.min(30000, 500 * 2 ** Math.min(state.attempt++, 6));
    show("waiting", reason ? `Reconnecting: ${reason}` : "Reconnecting");
    state.timer = setTimeout(connect, retry || Math.random() * ceiling);
  };
}

function receive(socket, message) {
  switch (message.type) {
    case "welcome":
      subscribe(socket, message.channels);
      break;
    case "subscribed":
      state.attempt = 0;
      for (const [name, channel] of Object.entries(message.channels)) state.views[name] = channel.view;
      show("live", "Live");
      break;
    case "snapshot":
      for (const row of [...message.rows].reverse()) add(message.channel, "snapshot", null, row);
      break;
    case "checkpoint":
      state.cursor = message.cursor;
      state.seen.clear();
      $("as-of").textContent = `complete up to ${new Date(message.as_of).toLocaleTimeString()}`;
      break;
    case "resync":
      state.seen.clear();
      forget(message.channels);
      break;
    case "capture_status":
      if (message.status === "ok") show("live", "Live");
      else show("degraded", `Database not reachable since ${new Date(message.since).toLocaleTimeString()}`);
      break;
    case "error":
      notice(message.message);
      break;
    case "metrics_update":
    case "webhook_status":
      break;
    case "withheld":
      once(message) && add(message.channel, "withheld", null, null);
      break;
    default:
      if (message.data && once(message)) {
        const { action, changed, previous_status, ...rest } = message.data;
        add(message.channel, message.membership || action, message.timestamp, Object.values(rest)[0]);
      }
  }
}

function subscribe(socket, channels) {
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

function forget(channels) {
  for (const row of [...$("events").rows]) if (channels.includes(row.dataset.channel)) row.remove();
}

function add(channel, action, timestamp, object) {
  const row = document.createElement("tr");
  row.dataset.channel = channel;
  if (action === "snapshot") row.className = "snapshot";
  const time = timestamp ? new Date(timestamp).toLocaleTimeString() : "";
  for (const text of [time, channel, action]) row.insertCell().textContent = text;
  const cell = row.insertCell();
  for (const [key, value] of Object.entries(object || {})) {
    const name = document.createElement("span");
    name.textContent = key;
    cell.append(name, ` ${typeof value === "object" ? JSON.stringify(value) : value}  `);
  }
  const events = $("events");
  events.prepend(row);
  while (events.rows.length > SHOWN) events.lastElementChild.remove();
  $("empty").hidden = true;
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
  connect();
});

function check() {
  // A phone that slept may hold a socket that is dead and does not know it.
  if (state.socket?.readyState === WebSocket.OPEN && Date.now() - state.heard > 20000) state.socket.close(4000);
}

for (const name of ["visibilitychange", "pageshow", "online"]) addEventListener(name, check);
setInterval(check, 5000);

state.token = takeToken();
if (state.token) connect();
else signIn();

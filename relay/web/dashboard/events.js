// The list of events: one line each that can be opened, newest first. It knows no channel by name: what stands in the
// line is found by the names that fields usually have, and everything else is inside.

const SHOWN = 200;
const WORDS = 3;

const list = document.getElementById("events");
const empty = document.getElementById("empty");
const switches = document.getElementById("channels");
const off = new Set();

const TONES = [
  ["good", /succeed|complet|paid|won|processed|resolved|dismissed/],
  ["bad", /fail|lost|critical|error|disput|confirmed|withheld/],
  ["warn", /pending|process|retry|review|response|investigat|active|received/],
];

export function add(channel, { row = null, action = "", previous_status: before = null, timestamp = null }) {
  const { id, status, amount, currency, ...rest } = row ?? {};
  const present = !action;
  offer(channel);
  const item = element("li", present ? "present" : "new");
  item.dataset.channel = channel;
  item.hidden = off.has(channel);
  const moment = timestamp ?? rest.updated_at ?? rest.created_at;
  const line = element("summary");
  line.append(
    element("time", "", moment ? new Date(moment).toLocaleTimeString() : ""),
    element("span", "channel", channel),
    element("span", "id", id === undefined ? "" : `#${id}`),
    pill(status, before, action),
    element("span", "what", words(rest)),
    element("span", "amount", amount === undefined || amount === null ? "" : money(amount, currency)),
  );
  const more = element("details");
  more.append(line, fields(row ?? {}));
  item.append(more);
  list.prepend(item);
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  empty.hidden = true;
}

export function forget(channels) {
  for (const item of [...list.children]) if (channels.includes(item.dataset.channel)) item.remove();
}

// A switch for each channel that has shown something. What is switched off goes on being received, and is there when
// it is switched on again.
function offer(channel) {
  if ([...switches.children].some((each) => each.value === channel)) return;
  const button = element("button", "", channel);
  button.type = "button";
  button.value = channel;
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    const hidden = off.delete(channel) ? false : Boolean(off.add(channel));
    button.setAttribute("aria-pressed", String(!hidden));
    for (const item of list.children) if (item.dataset.channel === channel) item.hidden = hidden;
  });
  switches.append(button);
}

function pill(status, before, action) {
  const told = ["created", "updated", "status_changed", ""].includes(action) ? "" : action;
  const text = status === undefined || status === null ? told || action : [before && `${before} →`, status, told].filter(Boolean).join(" ");
  const made = element("span", "status", text);
  made.dataset.tone = TONES.find(([, words]) => words.test(String(status ?? text)))?.[0] ?? "";
  return made;
}

// The first short texts of the row that are no moments and no keys of other systems.
function words(rest) {
  const texts = Object.entries(rest).filter(
    ([name, value]) => typeof value === "string" && value && value.length < 60 && !/(_at|_by|_id|^id)$/.test(name),
  );
  return texts.slice(0, WORDS).map(([, value]) => value).join(" · ");
}

function money(amount, currency) {
  return currency ? `${amount} ${String(currency).toUpperCase()}` : String(amount);
}

function fields(row) {
  const shown = element("dl");
  for (const [name, value] of Object.entries(row)) {
    const text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–");
    shown.append(element("dt", "", name), element("dd", "", text));
  }
  return shown;
}

function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

// What to tell people about the connection. Pure: from the client's status to words, a tone and what can be done.

import { clock, span } from "./format.js";

/** Signs of life that may be late before "live" is no longer believed. */
const LATE = 4;

const LABELS = {
  connecting: ["busy", "Connecting"],
  "catching-up": ["busy", "Catching up"],
  live: ["good", "Live"],
  degraded: ["warn", "Degraded"],
  stale: ["bad", "Stale"],
  "signed-out": ["bad", "Signed out"],
  closed: ["quiet", "Disconnected"],
};

/**
 * {state, tone, label, detail, asOf, reconnect}: `age` is that of what is shown, in milliseconds, null before anything
 * is; `reconnect` says whether a manual attempt makes sense.
 */
export function describe(status, age, now) {
  let state = status.state;
  // Connected, and nothing was complete yet: the first subscriptions are on their way.
  if (state === "live" && age === null) state = "catching-up";
  if (state === "live" && age > LATE * 1000 * status.heartbeatSeconds) state = "late";
  const [tone, label] = LABELS[state] ?? ["warn", "Late"];
  return {
    state,
    tone,
    label: state === "stale" || state === "degraded" ? `${label} since ${since(state, status)}` : label,
    detail: detail(state, status, now),
    asOf: status.asOf === null ? "" : `Complete up to ${clock(status.asOf)}${old(age)}`,
    reconnect: !["live", "catching-up", "signed-out"].includes(state),
  };
}

function since(state, status) {
  if (state === "degraded") return clock(status.degraded?.since ?? status.since);
  return clock(status.asOf ?? status.since);
}

function detail(state, status, now) {
  const why = status.error?.message ?? "";
  switch (state) {
    case "connecting":
      return [why, next(status, now)].filter(Boolean).join(" · ");
    case "stale":
      return [next(status, now) || "reconnecting", why].filter(Boolean).join(" · ");
    case "degraded":
      return status.degraded?.reason ?? "";
    case "live":
      return status.transport === "polling" ? "by long polling" : "";
    case "late":
      return "the relay has been silent for a while";
    default:
      return "";
  }
}

function next(status, now) {
  if (status.retryAt === null) return "";
  const wait = status.retryAt - now;
  return wait < 500 ? "trying again" : `next attempt in ${span(wait)}`;
}

// Below some seconds an age is nothing but the heartbeat: it would only make people nervous.
const old = (age) => (age === null || age < 8000 ? "" : `, ${span(age)} ago`);

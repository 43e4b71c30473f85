// What a status means: a word, a tone and a sign. Three signals, so that colour is never the only one.

import { words } from "./format.js";

const GOOD = "good",
  BAD = "bad",
  WARN = "warn",
  BUSY = "busy",
  QUIET = "quiet";

/** Status of any channel -> [tone, name of the sign in the page's sprite, label if its own name is none]. */
const MEANINGS = {
  // payments, in the words of the channel or of the backend
  succeeded: [GOOD, "check"],
  completed: [GOOD, "check", "Succeeded"],
  pending: [BUSY, "clock"],
  processing: [BUSY, "spin"],
  requires_payment_method: [BUSY, "clock", "Pending"],
  requires_confirmation: [BUSY, "clock"],
  requires_action: [BUSY, "clock"],
  failed: [BAD, "cross"],
  refunded: [QUIET, "back"],
  canceled: [QUIET, "dash", "Cancelled"],
  cancelled: [QUIET, "dash"],
  // webhook events
  received: [BUSY, "clock"],
  processed: [GOOD, "check"],
  retrying: [WARN, "spin"],
  // disputes
  needs_response: [BAD, "alert"],
  warning_needs_response: [WARN, "alert"],
  under_review: [BUSY, "clock"],
  warning_under_review: [BUSY, "clock"],
  warning_closed: [QUIET, "dash"],
  charge_refunded: [QUIET, "back"],
  won: [GOOD, "check"],
  lost: [BAD, "cross"],
  // fraud alerts
  active: [BAD, "alert"],
  investigating: [WARN, "clock"],
  resolved: [GOOD, "check"],
  false_positive: [QUIET, "dash"],
};

/** How to show `status`: {tone, sign, label}. `display`: what the channel calls a status that is not known here. */
export function meaning(status, display = "") {
  const [tone, sign, label] = MEANINGS[status] ?? [QUIET, "dot", display];
  return { tone, sign, label: label || words(status) };
}

/** A payment that has neither worked nor failed yet. */
export const isOpen = (status) => meaning(status).tone === BUSY;

const WORKED = new Set(["succeeded", "completed", "refunded"]);

/** Whether a payment was tried and is decided: "worked", "failed" or null. A refund does not undo that it worked. */
export function outcome(status) {
  if (status === "failed") return "failed";
  return WORKED.has(status) ? "worked" : null;
}

/** Fraud scores in the steps that reviewers know: 30, 50 and 80. */
export function risk(score) {
  if (score >= 80) return { tone: BAD, label: "Critical" };
  if (score >= 50) return { tone: BAD, label: "High" };
  if (score >= 30) return { tone: WARN, label: "Medium" };
  return { tone: QUIET, label: "Low" };
}

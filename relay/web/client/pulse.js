/** Whether the relay is still there: it is heard of in every heartbeat, or asked. */

import { RelayError } from "./errors.js";
import { later } from "./timers.js";

/** Silence that is not held against the relay, however short its heartbeat; and how late a timer may be. */
const GRACE_MS = 2000;
/** How long an answer may take after waking up. */
const PROBE_MS = 3000;

/**
 * @param {{beatMs: () => number, ping: () => void, dead: (error: RelayError) => void}} link
 * @returns {{heard: () => void, probe: () => void, stop: () => void}} `heard`: something came; `probe`: look now
 */
export function pulse({ beatMs, ping, dead }) {
  let heardAt = Date.now();
  let cancelLook = () => {};
  /** @type {null | (() => void)} */
  let cancelProbe = null;

  const stop = () => {
    cancelLook();
    if (cancelProbe) cancelProbe();
    cancelProbe = null;
  };
  const probe = () => {
    if (cancelProbe) return;
    ping();
    cancelProbe = later(PROBE_MS, () => dead(new RelayError("silent", "the connection did not survive")));
  };
  const look = () => {
    const beat = beatMs();
    const step = Math.max(beat / 2, 250);
    const looked = Date.now();
    cancelLook = later(step, () => {
      const silence = Date.now() - heardAt;
      // A timer that comes far too late means that everything slept: ask before judging.
      if (Date.now() - looked > step + GRACE_MS) probe();
      else if (silence > 2.5 * beat + GRACE_MS) return dead(new RelayError("silent", "nothing came from the relay for too long"));
      else if (silence > 1.2 * beat) ping();
      look();
    });
  };
  const heard = () => {
    heardAt = Date.now();
    if (cancelProbe) cancelProbe();
    cancelProbe = null;
  };
  look();
  return { heard, probe, stop };
}

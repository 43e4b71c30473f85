/** Timers that no platform minds: none runs for more than 50 seconds at a time. */

const STEP_MS = 50000;

/** Run once after `ms`; returns what cancels it. @param {number} ms @param {() => void} run @returns {() => void} */
export function later(ms, run) {
  let left = ms;
  let timer;
  const step = () => {
    if (left <= 0) return run();
    const part = Math.min(left, STEP_MS);
    left -= part;
    timer = setTimeout(step, part);
  };
  if (left <= 0) timer = setTimeout(run, 0);
  else step();
  return () => clearTimeout(timer);
}

/**
 * The pause before attempt `n` (from 0): any time up to a bound that doubles. Full jitter, so that a thousand clients
 * which lost the same relay do not come back in step.
 * @param {number} n @param {{initialMs?: number, maxMs?: number}} [bounds]
 */
export function pause(n, { initialMs = 1000, maxMs = 30000 } = {}) {
  return Math.random() * Math.min(maxMs, initialMs * 2 ** Math.min(n, 30));
}

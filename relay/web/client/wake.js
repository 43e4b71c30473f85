/** The signs that a device or page woke up, or is about to be put away. Where there is no page there are none. */

/**
 * @param {{wake: () => void, hide: () => void, wakeOn?: (wake: () => void) => (() => void) | void}} what
 * @returns {() => void} what stops listening
 */
export function watchWaking({ wake, hide, wakeOn }) {
  /** @type {(() => void)[]} */
  const ends = [];
  /** @param {any} target @param {string} name @param {() => void} run */
  const listen = (target, name, run) => {
    if (!target || typeof target.addEventListener !== "function") return;
    target.addEventListener(name, run);
    ends.push(() => target.removeEventListener(name, run));
  };
  const { document: page } = globalThis;
  const ground = typeof globalThis.addEventListener === "function" ? globalThis : undefined;
  listen(page, "visibilitychange", () => page.visibilityState === "visible" && wake());
  listen(page, "resume", wake);
  // iOS may return to an app by pageshow alone.
  for (const name of ["pageshow", "online", "offline"]) listen(ground, name, wake);
  // An open socket keeps a page out of the back/forward cache, or is cut there without a word.
  if (page) listen(ground, "pagehide", hide);
  const end = wakeOn && wakeOn(wake);
  if (typeof end === "function") ends.push(end);
  return () => ends.splice(0).forEach((stop) => stop());
}

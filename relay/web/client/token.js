/** The application's token callback, asked once however many wait for the answer. */

import { RelayError } from "./errors.js";
import { later } from "./timers.js";

/** How long an answer is waited for. A callback that takes longer is waited for again, not called again. */
const PATIENCE_MS = 30000;

/**
 * @param {import("./index.js").ConnectOptions["token"]} source
 * @returns {() => Promise<string | null | undefined>} rejects with a RelayError
 */
export function tokenFrom(source) {
  if (typeof source !== "function") return () => Promise.resolve(source);
  /** @type {Promise<any> | null} */
  let asking = null;
  return () => {
    if (!asking) {
      asking = new Promise((resolve) => resolve(source()));
      const done = () => (asking = null);
      asking.then(done, done);
    }
    const answer = asking;
    return new Promise((resolve, reject) => {
      const fail = (/** @type {any} */ why) =>
        reject(why instanceof RelayError ? why : new RelayError("token_failed", "no token could be had: " + why));
      const cancel = later(PATIENCE_MS, () => fail("it took too long"));
      const over = (/** @type {(value: any) => void} */ then) => (/** @type {any} */ value) => (cancel(), then(value));
      answer.then(over(resolve), over(fail));
    });
  };
}

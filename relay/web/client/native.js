/** The same client for React Native: the token travels in a header, and coming back to the app wakes the connection. */

import { AppState } from "react-native";
import { Client } from "./client.js";
import { surface } from "./surface.js";

export { RelayError } from "./errors.js";

/** @param {(wake: () => void) => void} wake */
function onActive(wake) {
  const { remove } = AppState.addEventListener("change", (state) => state === "active" && wake());
  return remove;
}

/** @param {import("./index.js").ConnectOptions} options @returns {import("./index.js").RelayClient} */
export function connect(options) {
  return surface(new Client({ wakeOn: onActive, headers: true, ...options }));
}

export { connect as createClient };

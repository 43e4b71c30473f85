/** The client of a payment relay. See README.md, and docs/client.md for the states it goes through. */

import { Client } from "./client.js";

export { RelayError } from "./errors.js";

/** @param {import("./index.js").ConnectOptions} options @returns {import("./index.js").RelayClient} */
export function connect(options) {
  const client = new Client(options);
  return {
    get status() {
      return client.status;
    },
    subscribe: (channel, subscribing, handlers) => client.subscribe(channel, subscribing, handlers),
    on: (event, listener) => client.on(event, listener),
    reconnect: () => client.reconnect(),
    wake: () => client.wake(),
    close: () => client.close(),
  };
}

export { connect as createClient };

/** What of a client the application may touch. */

/** @param {import("./client.js").Client} client @returns {import("./index.js").RelayClient} */
export const surface = (client) => ({
  get status() {
    return client.standing.status;
  },
  subscribe: (channel, options = {}, handlers = {}) => client.channels.subscribe(channel, options, handlers),
  on: (/** @type {string} */ event, /** @type {any} */ listener) => client.standing.on(event, listener),
  reconnect: () => client.reconnect(),
  wake: () => client.wake(),
  close: () => client.close(),
});

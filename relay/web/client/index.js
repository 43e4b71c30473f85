/** The client of a payment relay. See README.md, and docs/client.md for the states it goes through. */

import { Client } from "./client.js";
import { surface } from "./surface.js";

export { RelayError } from "./errors.js";

/** @param {import("./index.js").ConnectOptions} options @returns {import("./index.js").RelayClient} */
export const connect = (options) => surface(new Client(options));

export { connect as createClient };

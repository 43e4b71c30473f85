/** One client for everybody who wants the same connection, made when it is first needed, ended when nobody holds it. */

import { FACTS } from "./standing.js";
import { later } from "./timers.js";

/** A view that is taken down and put up again, as StrictMode does, keeps its connection. */
const GRACE_MS = 1000;

const NOT_YET = { state: "connecting", since: 0, transport: null, ...FACTS };

/** @param {() => any} make */
function lazily(make) {
  /** @type {any} */
  let client = null;
  let holders = 0;
  let cancel = () => {};
  const real = () => (client = client || make());
  return {
    get status() {
      return client ? client.status : NOT_YET;
    },
    subscribe: (/** @type {any[]} */ ...all) => real().subscribe(...all),
    on: (/** @type {any[]} */ ...all) => real().on(...all),
    reconnect: () => real().reconnect(),
    wake: () => client && client.wake(),
    close: () => client && client.close(),
    /** Keep it; returns what lets go. */
    hold() {
      cancel();
      holders += 1;
      real();
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        holders -= 1;
        if (holders) return;
        cancel = later(GRACE_MS, () => {
          client.close();
          client = null;
        });
      };
    },
  };
}

/** @param {(options: any) => any} connect @returns {(options: any) => any} the client for these options */
export function sharedBy(connect) {
  /** @type {Map<string, any>} */
  const all = new Map();
  return (options) => {
    const { url = "", token } = options;
    const key = url + " " + (typeof token === "string" ? token : "");
    let client = all.get(key);
    if (!client) {
      const make = () => {
        const { options: now } = client;
        return connect(typeof token === "string" ? now : { ...now, token: () => client.options.token() });
      };
      client = lazily(make);
      client.options = options;
      all.set(key, client);
    }
    return client;
  };
}

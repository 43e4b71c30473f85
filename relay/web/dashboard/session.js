// The token: where it comes from, how it is renewed, and that it stays in memory.

import { takeToken } from "./address.js";

const RENEW_BEFORE_MS = 90_000; // the relay announces the end a minute before it comes, to some a little earlier
const RENEW_BEFORE_SHARE = 0.6; // and half-way for a token that lives shorter than that

/** {exp, iat} of a token in milliseconds, read without checking it: only to tell people, and to renew in time. */
export function times(token) {
  try {
    const payload = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    const at = (claim) => (typeof claim === "number" ? claim * 1000 : null);
    return { exp: at(payload.exp), iat: at(payload.iat) };
  } catch {
    return { exp: null, iat: null };
  }
}

/** The settings that the relay has for this page: {token_url}. */
export async function readConfig(fetcher = fetch) {
  try {
    const answer = await fetcher("dashboard/config.json", { headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {}; // the page works without; only the token cannot be renewed by itself
  }
}

/** Holds the token. `get` is what the client asks before it connects and when the token is about to expire. */
export class Session {
  #token = "";
  #signedOut = false;

  constructor({ tokenUrl = "", fetcher = (...args) => fetch(...args), now = Date.now } = {}) {
    this.tokenUrl = tokenUrl;
    this.fetcher = fetcher;
    this.now = now;
  }

  /** Take the token out of the address, if there is one. True if there was. */
  takeFromAddress() {
    const token = takeToken();
    if (token) this.set(token);
    return Boolean(token);
  }

  set(token) {
    this.#token = token.trim();
    this.#signedOut = false;
  }

  /** Signed out by the reader: nothing is asked for until there is a new token. */
  clear() {
    this.#token = "";
    this.#signedOut = true;
  }

  /** The relay does not accept the token: it is not shown to it again. */
  refused() {
    this.#token = "";
  }

  /** When the token ends, in milliseconds, as far as it can be read. */
  get expiresAt() {
    return this.#token ? times(this.#token).exp : null;
  }

  /** Whether the token renews itself. */
  get renews() {
    return Boolean(this.tokenUrl);
  }

  /** A token to connect with, or null: signed out. Throws when it could not be asked for; that is tried again. */
  get = async () => {
    if (this.#signedOut) return null;
    const { exp, iat } = times(this.#token);
    const left = exp === null ? Infinity : exp - this.now();
    if (this.renews && (!this.#token || left < Math.min(RENEW_BEFORE_MS, RENEW_BEFORE_SHARE * (exp - iat)))) {
      this.#token = (await this.#renewed()) ?? "";
    }
    // Without one, a token whose time seems to be over is tried all the same: the relay knows, this clock may not.
    return this.#token || null;
  };

  async #renewed() {
    const include = { credentials: "include", cache: "no-store", headers: { Accept: "application/json" } };
    const answer = await this.fetcher(this.tokenUrl, include);
    if (answer.status === 401 || answer.status === 403) return null;
    const type = answer.headers?.get?.("Content-Type") ?? "";
    // A session that has ended often leads to a form to sign in, which is a page and no token.
    if (answer.redirected && !type.includes("json")) return null;
    if (!answer.ok) throw new Error(`a fresh token could not be had: HTTP ${answer.status}`);
    return (await answer.json()).token ?? null;
  }
}

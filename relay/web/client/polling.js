/** Long polling, for where WebSocket does not get through: the same messages, fetched. */

import { RelayError, forStatus, told } from "./errors.js";
import { later } from "./timers.js";

/** Seconds that the relay may hold a request back. */
const WAIT_SECONDS = 25;
/** Between an answer and the next request: the relay limits requests per minute. */
const PACE_MS = 250;
const NO_CURSOR_MS = 5000;

/** @param {any} request as for `subscribe` */
function query({ channels, filters, views, snapshot, since }) {
  const parts = { channels: channels.join(","), snapshot, since, wait: since ? WAIT_SECONDS : undefined };
  if (filters && Object.keys(filters).length) parts.filters = JSON.stringify(filters);
  if (views && since) parts.views = JSON.stringify(views);
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => name + "=" + encodeURIComponent(value))
    .join("&");
}

/** What a refusal says. @param {any} response */
async function refusal(response) {
  const after = Number(response.headers && response.headers.get("Retry-After")) * 1000 || undefined;
  let body;
  try {
    body = await response.json();
  } catch {
    // A proxy's page.
  }
  if (body && body.code) return told(body, { status: response.status, ...(after && { retryAfterMs: after }) });
  return forStatus(response.status, `the relay answered ${response.status}`, after);
}

/**
 * Browsers say "Failed to fetch" of a relay that is down and of one that does not let the page in, and tell nobody which it
 * was; so this names both. @param {any} error
 */
const why = (error) =>
  error instanceof SyntaxError ? "what answers is not the relay" : "the relay cannot be reached, or refuses this page";

/**
 * Polls for the channels of one client, one request for each cursor, until closed.
 *
 * @param {{url: string, token: () => string, fetch: any, channels: import("./channels.js").Channels, timeoutMs: number,
 *   receive: (message: any, asked: any) => void, onEnd: (error: RelayError) => void}} options
 * @returns {{flush: () => void, welcomed: () => void, close: () => void}} `flush`: ask for the channels that wait for it
 */
export function openPolling({ url, token, fetch, channels, timeoutMs, receive, onEnd }) {
  let over = false;
  /** @type {Set<() => void>} */
  const aborts = new Set();

  const close = () => {
    over = true;
    for (const abort of [...aborts]) abort();
  };

  /** `work`, unless it takes too long or everything ends. @param {number} ms @param {(signal?: any) => Promise<any>} work */
  const within = (ms, work) =>
    new Promise((resolve, reject) => {
      const control = typeof AbortController === "function" ? new AbortController() : undefined;
      const abort = () => {
        cancel();
        aborts.delete(abort);
        if (control) control.abort();
      };
      const cancel = later(ms, () => {
        reject(new RelayError("connect_timeout", "the relay did not answer in time"));
        abort();
      });
      aborts.add(abort);
      work(control && control.signal)
        .then(resolve, (error) => reject(error instanceof RelayError ? error : new RelayError("poll_failed", why(error))))
        .finally(() => {
          cancel();
          aborts.delete(abort);
        });
    });

  /** @param {any} request */
  const ask = (request) =>
    within(timeoutMs + (request.since ? WAIT_SECONDS * 1000 : 0), async (signal) => {
      const headers = { Authorization: "Bearer " + token() };
      const response = await fetch(url + "?" + query(request), { headers, cache: "no-store", credentials: "omit", signal });
      if (!response.ok) throw await refusal(response);
      return response.json();
    });

  /** Follow the channels of one cursor for as long as they are followed here. @param {any} request @param {any[]} asked */
  const follow = async (request, asked) => {
    const loop = {};
    for (const channel of asked) channel.loop = loop;
    while (!over) {
      const { messages, cursor } = await ask(request);
      // What is asked for elsewhere by now, perhaps with another filter, is told there.
      asked = asked.filter((channel) => channel.loop === loop && channel.state !== "waiting");
      for (const message of messages) if (!over) receive(message, { channels: asked, since: !!request.since });
      asked = asked.filter((channel) => channel.loop === loop && channel.listeners.size && channel.flowing);
      if (over || !asked.length) return;
      // Without a cursor the answer comes at once: numbers need none, and rows have to begin anew.
      await new Promise((resolve) => later(cursor ? PACE_MS : NO_CURSOR_MS, () => resolve(undefined)));
      request = { channels: asked.map(({ name }) => name), filters: {}, views: {}, since: cursor, snapshot: 0 };
      for (const { name, filter, view, nextView, snapshot } of asked) {
        if (Object.keys(filter).length) request.filters[name] = filter;
        if (cursor) request.views[name] = nextView || view;
        request.snapshot = Math.max(request.snapshot, snapshot);
      }
    }
  };

  const flush = () => {
    channels.sweep();
    for (const { request, channels: asked } of channels.waiting()) {
      follow(request, asked).catch((error) => {
        if (over) return;
        close();
        onEnd(error);
      });
    }
  };
  return { flush, welcomed() {}, close };
}

/** Long polling, for where WebSocket does not get through: the same messages, fetched. */

import { RelayError, forStatus, told } from "./errors.js";
import { later } from "./timers.js";

/** Seconds that the relay may hold a request back. */
const WAIT_SECONDS = 25;

/** @param {any} request as for `subscribe` */
function query({ channels, filters, views, snapshot, since }) {
  const parts = { channels: channels.join(","), snapshot, since, wait: since ? WAIT_SECONDS : undefined };
  if (filters && Object.keys(filters).length) parts.filters = JSON.stringify(filters);
  if (views) parts.views = JSON.stringify(views);
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
 * Polls for the channels of one client, one request for each cursor, until closed.
 *
 * @param {{url: string, token: () => string, fetch: any, channels: import("./channels.js").Channels, timeoutMs: number,
 *   receive: (message: any, asked: any) => void, onAnswer: () => void, onEnd: (error: RelayError) => void}} options
 * @returns {{flush: () => void, close: () => void}} `flush`: look for channels that wait to be asked for
 */
export function openPolling({ url, token, fetch, channels, timeoutMs, receive, onAnswer, onEnd }) {
  let over = false;
  /** @type {Set<() => void>} */
  const aborts = new Set();

  const close = () => {
    over = true;
    for (const abort of aborts) abort();
  };
  /** @param {RelayError} error */
  const end = (error) => {
    if (over) return;
    close();
    onEnd(error);
  };

  /** One request. @param {any} request */
  const ask = async (request) => {
    const control = typeof AbortController === "function" ? new AbortController() : undefined;
    let patience = () => {};
    const abort = () => {
      patience();
      if (control) control.abort();
    };
    const late = new Promise((_, reject) => {
      patience = later(timeoutMs + (request.since ? WAIT_SECONDS * 1000 : 0), () => {
        reject(new RelayError("connect_timeout", "the relay did not answer in time"));
        abort();
      });
    });
    aborts.add(abort);
    try {
      const answered = fetch(url + "?" + query(request), {
        headers: { Authorization: "Bearer " + token() },
        cache: "no-store",
        credentials: "omit",
        ...(control && { signal: control.signal }),
      }).then(async (response) => {
        if (!response.ok) throw await refusal(response);
        return response.json();
      });
      return await Promise.race([answered, late]);
    } catch (error) {
      throw error instanceof RelayError ? error : new RelayError("poll_failed", String(error));
    } finally {
      patience();
      aborts.delete(abort);
    }
  };

  /** Follow the channels of one cursor for as long as they are followed here. @param {any} request @param {any[]} asked */
  const follow = async (request, asked) => {
    const loop = {};
    for (const channel of asked) channel.loop = loop;
    for (;;) {
      const answer = await ask(request);
      const mine = asked.filter((channel) => channel.loop === loop && channel.state !== "waiting");
      if (over) return;
      onAnswer();
      for (const message of answer.messages) {
        // What is asked for elsewhere by now, with another filter, is told there.
        const other = message.channel && !mine.some(({ name }) => name === message.channel);
        if (!other && message.type !== "checkpoint") receive(message, { channels: mine, since: !!request.since });
        if (over) return;
      }
      const checkpoint = answer.messages.filter(({ type }) => type === "checkpoint").pop();
      receive({ as_of: answer.as_of, ...checkpoint, type: "checkpoint", cursor: answer.cursor, only: mine }, undefined);
      const left = mine.filter((channel) => channel.loop === loop && channel.listeners.size && channel.flowing);
      if (over || !left.length) return;
      request = { channels: left.map(({ name }) => name), filters: {}, views: {}, since: answer.cursor, snapshot: 0 };
      for (const { name, filter, view, nextView, snapshot } of left) {
        request.filters[name] = filter;
        request.views[name] = nextView || view;
        request.snapshot = Math.max(request.snapshot, snapshot);
      }
      asked = left;
    }
  };

  const flush = () => {
    channels.sweep();
    for (const { request, channels: asked } of channels.waiting()) follow(request, asked).catch(end);
  };
  return { flush, close };
}

/** One WebSocket, from opening to its end. Says once how it ended, whatever the platform leaves out. */

import { RelayError, forStatus } from "./errors.js";
import { later } from "./timers.js";

/** What a token may be made of to travel as the name of a subprotocol (RFC 9110, token). */
const TRAVELS = /^[\w.~!#$%&'*+^`|-]+$/;

/**
 * @param {{url: string, token: string, Socket: any, headers?: boolean, timeoutMs: number,
 *   onMessage: (message: any) => void, onEnd: (error: RelayError) => void}} options
 *   `headers`: this constructor takes headers (React Native)
 * @returns {{send: (message: any) => void, welcomed: () => void, close: () => void}}
 */
export function openSocket({ url, token, Socket, headers, timeoutMs, onMessage, onEnd }) {
  /** @type {any} */
  let socket;
  let over = false;
  let opened = false;
  /** @type {() => void} */
  let patience = () => {};

  const detach = () => {
    patience();
    over = true;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // closing while connecting is an error to some
    try {
      socket.close(1000);
    } catch {
      // It never began.
    }
  };
  /** @param {RelayError} error */
  const end = (error) => {
    if (over) return;
    detach();
    onEnd(error);
  };

  patience = later(timeoutMs, () => end(new RelayError("connect_timeout", "the relay did not answer in time")));
  const bearer = TRAVELS.test(token);
  try {
    if (headers) socket = new Socket(url, ["relay.v1"], { headers: { Authorization: "Bearer " + token } });
    else socket = new Socket(url, bearer ? ["relay.v1", "bearer." + token] : ["relay.v1"]);
  } catch (error) {
    patience = later(0, () => end(new RelayError("connect_failed", String(error))));
    return { send() {}, welcomed() {}, close: detach };
  }
  /** @param {any} message */
  const send = (message) => {
    if (!over && socket.readyState === 1) socket.send(JSON.stringify(message));
  };
  socket.onopen = () => {
    opened = true;
    if (!headers && !bearer) send({ type: "auth", token });
  };
  socket.onmessage = (event) => {
    let message;
    try {
      message = JSON.parse(event.data);
    } catch {
      return; // not ours
    }
    if (message && typeof message.type === "string") onMessage(message);
  };
  socket.onclose = (event) => {
    const code = (event && event.code) || 1006; // older React Native closes without a code
    end(forStatus(code, (event && event.reason) || `the connection was closed (${code})`));
  };
  socket.onerror = () => {
    // The close that follows knows more; some platforms forget to send it.
    patience();
    patience = later(opened ? 1000 : 100, () => end(forStatus(1006, "the connection failed")));
  };
  return { send, welcomed: () => patience(), close: detach };
}

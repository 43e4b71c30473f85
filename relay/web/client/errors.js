/** What can go wrong, in one shape: a code, whether the client goes on by itself, and what a person can do. */

const SIGN_IN = /^(token_|no_token|subject_changed)/;
const OPERATOR = /^(forbidden|origin_refused|not_found|upgrade_required|internal)$/;

/** @param {string} code @param {boolean} retryable */
function adviceFor(code, retryable) {
  if (retryable) return "wait";
  if (SIGN_IN.test(code)) return "sign-in";
  return OPERATOR.test(code) ? "ask-operator" : "fix-request";
}

export class RelayError extends Error {
  /** @param {string} code @param {string} message @param {any} [details] */
  constructor(code, message, { retryable = true, channel, status, retryAfterMs } = {}) {
    super(message);
    this.name = "RelayError";
    this.code = code;
    this.retryable = retryable;
    this.advice = adviceFor(code, retryable);
    this.channel = channel;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error that a message of the relay, or the body of a refusal, tells of. @param {any} message @param {any} [details] */
export function told(message, details) {
  return new RelayError(message.code, message.message || message.reason || message.code, {
    retryable: message.retryable !== false,
    channel: message.channel,
    retryAfterMs: message.retry_after_ms,
    ...details,
  });
}

/** Close codes and HTTP statuses that say something where no message did. A bare 401 or 403 may be any proxy's. */
const STATUS = {
  429: ["connecting_too_often", true],
  1009: ["message_too_big", false],
  1012: ["restart", true],
  1013: ["overloaded", true],
  4001: ["token_refused", false],
  4003: ["forbidden", false],
  4029: ["connecting_too_often", true],
};

/** The error for a connection that ended with nothing but a number, or without one. @param {number | undefined} status @param {string} text */
export function forStatus(status, text, retryAfterMs) {
  const [code, retryable] = STATUS[/** @type {429} */ (status)] || ["connection_lost", true];
  return new RelayError(code, text, { retryable, status, retryAfterMs });
}

/** Whether it says that this token is not accepted, and another one might be. @param {RelayError} error */
export const isTokenRefused = (error) => /^token_(missing|invalid|expired|refused)$/.test(error.code);

/** Whether no token of this person will be accepted until somebody acts. @param {RelayError} error */
export const isFinal = (error) => /^(token_revoked|subject_changed|forbidden|origin_refused)$/.test(error.code);

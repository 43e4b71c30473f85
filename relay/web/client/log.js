/** The debug log: what happened, never a token and never what is in a row. */

const SECRETS = [
  [/eyJ[\w-]{5,}(\.[\w-]*)*/g, "[token]"],
  [/bearer[. ][^\s,"']+/gi, "bearer.[token]"],
  [/([?&](?:access_)?token=)[^&\s"']*/gi, "$1[token]"],
  [/("(?:token|authorization)"\s*:\s*")[^"]*/gi, "$1[token]"],
];

/** `text` with everything that looks like a token removed. @param {string} text */
export const redact = (text) => SECRETS.reduce((kept, [what, by]) => kept.replace(what, /** @type {string} */ (by)), text);

/** @param {boolean | ((line: string) => void) | undefined} debug @returns {(line: string) => void} */
export function logger(debug) {
  if (!debug) return () => {};
  const write = debug === true ? (line) => console.debug("[relay] " + line) : debug;
  return (line) => write(redact(line));
}

/** One line about a message. @param {any} message */
export function summary(message) {
  const channels = message.channels && !message.channel ? Object.keys(message.channels).length + " channels" : "";
  const words = [message.type, message.channel, message.id, message.code, message.reason, message.as_of, channels];
  return words.filter(Boolean).join(" ");
}

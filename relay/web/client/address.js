/** Addresses, built by hand: React Native's `URL` is half of one. */

const PATH = "/ws/payment-monitoring/";

/**
 * Where the WebSocket and the long poll are.
 * @param {string | undefined} url as given: `ws(s)` or `http(s)`, with a path or without; default: of this page
 * @param {string | undefined} pollUrl
 */
export function addresses(url, pollUrl) {
  const here = globalThis.location;
  const given = url || (here && here.host ? here.protocol + "//" + here.host : "");
  const absolute = /^\//.test(given) && here ? here.protocol + "//" + here.host + given : given;
  const [, , secure, host, path = ""] = /^(ws|http)(s?):\/\/([^/?#]+)([^#]*)/.exec(absolute) || [];
  if (!host) throw new TypeError(`url must begin with wss:// or https://, not ${JSON.stringify(given)}`);
  const full = path === "" || path === "/" ? PATH : path;
  const prefix = full.replace(/\?.*$/, "").replace(/\/ws\/.*$|\/$/, "");
  return {
    socket: `ws${secure}://${host}${full}`,
    poll: pollUrl || `http${secure}://${host}${prefix}/api/events`,
  };
}

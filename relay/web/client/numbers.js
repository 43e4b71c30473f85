/** The numbers of an aggregate, put together from the whole and from what changed since. */

/** Call all of them, also after one that throws; then throw what it threw. @param {Set<any>} listeners @param {...any} what */
export function everyone(listeners, ...what) {
  let failed = false;
  let reason;
  for (const listener of [...listeners]) {
    try {
      listener(...what);
    } catch (error) {
      failed = true;
      reason = error;
    }
  }
  if (failed) throw reason;
}

/** @param {any} before @param {import("./index.js").Numbers} message */
function merge(before, { type, data, complete }) {
  if (type === "webhook_status") {
    const endpoint = data.webhook_status;
    return { ...before, [endpoint.endpoint_url]: endpoint };
  }
  if (complete || !before) return data;
  const merged = { ...before };
  // One level deep: each metric, and each trend as a whole series.
  for (const part in data) {
    const value = data[part];
    merged[part] = value && typeof value === "object" && !Array.isArray(value) ? { ...before[part], ...value } : value;
  }
  return merged;
}

/**
 * @param {import("./index.js").RelayClient} client @param {string} channel
 * @param {(numbers: any) => void} [onChange]
 * @returns {import("./list.js").LiveNumbers}
 */
export function liveNumbers(client, channel, onChange) {
  const listeners = new Set(onChange ? [onChange] : []);
  let data = null;
  let asOf = null;
  let complete = false;
  const tell = () => everyone(listeners, numbers);
  const numbers = {
    get data() {
      return data;
    },
    get asOf() {
      return asOf;
    },
    get complete() {
      return complete;
    },
    get state() {
      return subscription.state;
    },
    get error() {
      return subscription.error;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      listeners.clear();
      subscription.unsubscribe();
    },
  };
  const subscription = client.subscribe(
    channel,
    {},
    {
      onNumbers(message) {
        if (!complete && !message.complete) return; // it belongs to a whole that is out of date
        complete = true;
        data = merge(data, message);
        asOf = message.asOf;
        tell();
      },
      onReset() {
        complete = false;
        tell();
      },
      onState: tell,
    },
  );
  return numbers;
}

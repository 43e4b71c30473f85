// Takes away what a phone does not have, so that a bundle which needs it fails.
for (const name of ["URL", "URLSearchParams", "EventTarget", "Event", "BroadcastChannel", "AbortController", "structuredClone", "document", "window", "navigator", "WebSocket"]) {
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
}
const timer = globalThis.setTimeout;
globalThis.setTimeout = (run, ms, ...all) => {
  if (ms > 60000) throw new Error(`a timer of ${ms} ms`);
  return timer(run, ms, ...all);
};

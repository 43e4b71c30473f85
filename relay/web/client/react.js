/** React hooks over the client and its lists. Connecting and subscribing happen in effects, never while rendering. */

import { createContext, createElement, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { connect } from "./index.js";
import { liveList, liveNumbers } from "./list.js";
import { sharedBy } from "./shared.js";

const HANDLERS = ["onSnapshot", "onEvent", "onNumbers", "onReset", "onWithheld", "onState", "onError"];
const idle = () => {};
const NO_LIST = {
  rows: [],
  state: "waiting",
  error: null,
  truncated: false,
  partial: false,
  withheld: 0,
  paused: false,
  pending: 0,
  get: idle,
  set: idle,
  setFilter: idle,
  pause: idle,
  resume: idle,
  refresh: idle,
  subscribe: () => idle,
  close: idle,
};
const NO_NUMBERS = { data: null, asOf: null, state: "waiting", error: null, complete: false, subscribe: () => idle, close: idle };

const Relay = createContext(/** @type {any} */ (null));

/** Always the value of the last render, for whoever is called later. @template T @param {T} value */
function useLatest(value) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** @param {(options: any) => any} connect how to connect on this platform */
export const providerWith = (connect) => {
  const shared = sharedBy(connect);
  return function RelayProvider({ client, children, ...options }) {
    const { url = "", token } = options;
    const relay = useMemo(() => client || shared(options), [client, url, typeof token === "string" ? token : ""]);
    useEffect(() => relay.hold && relay.hold(), [relay]);
    useEffect(() => {
      if (relay.options) relay.options = options;
    });
    return createElement(Relay.Provider, { value: relay }, children);
  };
};

export const RelayProvider = providerWith(connect);

export function useRelay() {
  const relay = useContext(Relay);
  if (!relay) throw new Error("there is no RelayProvider above this component");
  return relay;
}

export function useStatus() {
  const relay = useRelay();
  const { listen, look } = useMemo(
    () => ({ listen: (/** @type {any} */ tell) => relay.on("status", tell), look: () => relay.status }),
    [relay],
  );
  return useSyncExternalStore(listen, look, look);
}

/**
 * Something that keeps itself up to date for as long as the component is there, as it was when it last told of a change.
 * @param {any} nothing before it is there @param {(tell: (now: any) => void) => any} begin @param {any[]} when to begin anew
 */
function useLive(nothing, begin, when) {
  const [view, setView] = useState(nothing);
  const live = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const show = (/** @type {any} */ now) => setView({ ...now }); // getters become what they are now
    try {
      live.current = begin(show);
    } catch (error) {
      return setView({ ...nothing, state: "refused", error });
    }
    show(live.current);
    return () => {
      live.current.close();
      live.current = null;
    };
  }, when);
  return { view, live };
}

export function useLiveList(channel, options = {}, deps = []) {
  const relay = useRelay();
  const latest = useLatest(options);
  const { filter, limit, snapshot, throttleMs } = options;
  const { view, live } = useLive(
    NO_LIST,
    (tell) =>
      liveList(
        relay,
        channel,
        { ...latest.current, onEvent: (event) => latest.current.onEvent && latest.current.onEvent(event) },
        tell,
      ),
    [relay, channel, JSON.stringify(filter), limit, snapshot, throttleMs],
  );
  const begun = useRef(false);
  useEffect(() => {
    const { sort = ["-created_at", "-id"], where = null } = latest.current;
    if (begun.current && live.current) live.current.set({ sort, where });
    begun.current = true;
  }, deps);
  return view;
}

export function useNumbers(channel) {
  const relay = useRelay();
  return useLive(NO_NUMBERS, (tell) => liveNumbers(relay, channel, tell), [relay, channel]).view;
}

export function useChannel(channel, options = {}, handlers = {}) {
  const relay = useRelay();
  const latest = useLatest(handlers);
  const { filter, snapshot } = options;
  useEffect(() => {
    const call = (/** @type {string} */ name) => (/** @type {any[]} */ ...what) => latest.current[name] && latest.current[name](...what);
    const current = Object.fromEntries(HANDLERS.map((name) => [name, call(name)]));
    try {
      return relay.subscribe(channel, { filter, snapshot }, current).unsubscribe;
    } catch (error) {
      current.onState("refused", error);
      current.onError(error);
    }
  }, [relay, channel, JSON.stringify(filter), snapshot]);
}

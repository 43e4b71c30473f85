/** The core of the client: one connection to a relay, any number of subscriptions, no code for reconnecting. */

/** A filter on the fields a subscriber sees, as docs/protocol.md tells: `{status: "failed"}`, `{amount: {gte: "100"}}`. */
export type Filter = Record<string, unknown>;

/**
 * - `connecting`: nothing has been shown yet, and the connection is being made.
 * - `catching-up`: connected; snapshots or missed events are still coming.
 * - `live`: what is shown is complete up to `asOf`.
 * - `degraded`: connected, but the relay does not hear its database: complete only up to `asOf`.
 * - `stale`: the connection was lost and is being restored: complete only up to `asOf`.
 * - `signed-out`: the token was refused, or there is none. `reconnect()` once there is a new one.
 * - `closed`: `close()` was called. `reconnect()` begins again.
 */
export type State = "connecting" | "catching-up" | "live" | "degraded" | "stale" | "signed-out" | "closed";

/** What a screen needs to be honest. A new object at every change, safe to compare by identity. */
export interface Status {
  readonly state: State;
  /** Everything committed before this moment has been shown; null before the first checkpoint. ISO 8601, by the clock of the database. */
  readonly asOf: string | null;
  /** When the present state began, in milliseconds by the local clock. */
  readonly since: number;
  /** When anything last came from the relay, in milliseconds by the local clock; null before. */
  readonly heardAt: number | null;
  /** How messages come at the moment (`shared`: through another tab); null while there is no connection. */
  readonly transport: "websocket" | "polling" | "shared" | null;
  /** While `degraded`: since when, and why, in words for people. */
  readonly degraded: { readonly since: string; readonly reason: string | null } | null;
  /** Why the connection was lost or refused; null once it is live again. */
  readonly error: RelayError | null;
  /** When the next attempt to connect is made, in milliseconds by the local clock; null if none is waiting. */
  readonly retryAt: number | null;
  /** Who the token speaks for; null before the first welcome. */
  readonly subject: string | null;
  /** Channels that the token may see; empty before the first welcome. */
  readonly channels: readonly string[];
  /** Seconds between the relay's signs of life. */
  readonly heartbeatSeconds: number;
}

/** What to do about an error: nothing (the client does it), sign in again, mend the call, or ask an operator. */
export type Advice = "wait" | "sign-in" | "fix-request" | "ask-operator";

/** Anything that went wrong. `code` is one of docs/protocol.md, or one of the client's own, see docs/client.md. */
export class RelayError extends Error {
  constructor(code: string, message: string, details?: Partial<RelayError>);
  readonly code: string;
  /** True: the client goes on by itself. False: somebody has to do something first. */
  readonly retryable: boolean;
  readonly advice: Advice;
  /** The channel it is about, if it is about one. */
  readonly channel?: string;
  /** The WebSocket close code or HTTP status it came with. */
  readonly status?: number;
  /** How long the relay asks to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

export interface ConnectOptions {
  /** `wss://host/ws/payment-monitoring/`, or `https://host` alone. Default: the relay that served the page. */
  url?: string;
  /**
   * The token, or a function that gets a fresh one. It is called before every connection and when the token is about
   * to expire, never twice at the same time. Null, undefined or "" means signed out; a rejection is tried again later.
   */
  token: string | (() => string | null | undefined | Promise<string | null | undefined>);
  /** Called at every change of `status`. */
  onStatus?: (status: Status) => void;
  /** Called with every error, those of single channels too. */
  onError?: (error: RelayError) => void;
  /** Log what happens, tokens removed: true for the console, or a function. */
  debug?: boolean | ((line: string) => void);
  /** Long poll where WebSocket does not get through. Default true. */
  fallback?: boolean;
  /** Long-poll address. Default: `/api/events` beside `url`. */
  pollUrl?: string;
  /** Default: the global one. */
  WebSocket?: new (url: string, protocols?: string[]) => any;
  /** Default: the global one. */
  fetch?: (url: string, init?: any) => Promise<any>;
  /** Pause between attempts: a random one up to `initialMs`, doubled each time up to `maxMs`. Default 1000 and 30000. */
  backoff?: { initialMs?: number; maxMs?: number };
  /** How long a connection may take to open and be welcomed, in milliseconds. Default 8000. */
  connectTimeoutMs?: number;
  /** How often WebSocket is tried again beside long polling, in milliseconds; first after a twentieth of it. Default 60000. */
  wayBackMs?: number;
  /** Subscribe to the platform's signs of waking up (React Native's AppState); returns what ends that. */
  wakeOn?: (wake: () => void) => (() => void) | void;
}

/** One change of one row. */
export interface RowEvent<Row = any> {
  readonly id: string;
  readonly channel: string;
  /** The type of the message: `transaction_update`, `row_change`, … */
  readonly type: string;
  readonly action: "created" | "updated" | "status_changed" | "deleted" | (string & {});
  /** The row as it is now; its id alone if it was deleted or has left what this subscriber may see. */
  readonly row: Row;
  /** Names of the fields that changed. */
  readonly changed: readonly string[];
  readonly previousStatus: string | null;
  readonly membership: "entered" | "left" | null;
  /** True if the row is to go from a list: it was deleted, or left the filter. */
  readonly gone: boolean;
  readonly timestamp: string;
}

/** A message of an aggregate: the whole, or what changed since the message before. */
export interface Numbers<Data = any> {
  readonly channel: string;
  readonly type: string;
  readonly timestamp: string;
  /** The moment the numbers are of. */
  readonly asOf: string;
  readonly complete: boolean;
  readonly data: Data;
}

/**
 * - `waiting`: not asked for on this connection yet.
 * - `asked`: asked for, not answered.
 * - `filling`: granted; snapshot or missed events are coming.
 * - `live`: complete up to `status.asOf`.
 * - `refused`: the relay does not grant it, or not with this filter; `error` says why.
 * - `ended`: `unsubscribe()` was called.
 */
export type SubscriptionState = "waiting" | "asked" | "filling" | "live" | "refused" | "ended";

/** All are optional. One that throws disturbs nobody: the exception is reported to `onError` as `handler_failed`. */
export interface Handlers<Row = any> {
  /** Rows as they are now: replace everything you have. */
  onSnapshot?: (rows: Row[], info: { truncated: boolean; channel: string }) => void;
  /** One change, exactly once. */
  onEvent?: (event: RowEvent<Row>) => void;
  /** Numbers, if the channel is an aggregate. */
  onNumbers?: (numbers: Numbers) => void;
  /** What you have is not to be trusted any more; a snapshot (or whole numbers) follows. */
  onReset?: (info: { reason: string; channel: string }) => void;
  /** A change could not be read and is not shown; operators know. */
  onWithheld?: (info: { id: string; channel: string }) => void;
  onState?: (state: SubscriptionState, error: RelayError | null) => void;
  onError?: (error: RelayError) => void;
}

export interface SubscribeOptions {
  filter?: Filter;
  /** Rows to begin with, 0 to 500. Default 0. */
  snapshot?: number;
}

export interface Subscription {
  readonly channel: string;
  readonly filter: Filter;
  readonly state: SubscriptionState;
  readonly error: RelayError | null;
  /** Replace the filter; for everybody who shares this channel. A refused filter leaves the old one in place. */
  setFilter(filter: Filter): void;
  /** Ask for a new snapshot, which is preceded by `onReset`; for everybody who shares this channel. */
  refresh(): void;
  /** End it. The last one of a channel ends it at the relay. May be called twice. */
  unsubscribe(): void;
}

export interface RelayClient {
  readonly status: Status;
  /**
   * Subscribe to a channel. It holds until `unsubscribe()`, through every reconnect. Several subscriptions of one
   * channel share one at the relay, so they need the same filter (`filter_conflict` is thrown otherwise); one that
   * comes later and wants a snapshot begins it anew for all: `onReset`, then `onSnapshot`.
   */
  subscribe<Row = any>(channel: string, options?: SubscribeOptions, handlers?: Handlers<Row>): Subscription;
  /** Listen; returns what ends that. */
  on(event: "status", listener: (status: Status) => void): () => void;
  on(event: "error", listener: (error: RelayError) => void): () => void;
  /** Connect at once: the manual button. Also after `close()` and signing in again. */
  reconnect(): void;
  /** Check now whether the connection is alive, as after waking up. */
  wake(): void;
  /** End it and stay ended, whatever wakes up. Subscriptions are kept for `reconnect()`. May be called twice. */
  close(): void;
}

/** Open a connection. It stays open until `close()`. */
export function connect(options: ConnectOptions): RelayClient;
export { connect as createClient };

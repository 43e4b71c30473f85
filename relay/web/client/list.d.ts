/** Lists and numbers that keep themselves up to date. */
import type { Filter, Numbers, RelayClient, RelayError, RowEvent, SubscriptionState } from "./index.js";

export type Comparator<Row = any> = (a: Row, b: Row) => number;
/** `"amount"`, `"-created_at"` (descending), several of them, or a comparator. Decimals compare as numbers. */
export type Sort<Row = any> = string | readonly string[] | Comparator<Row>;

export interface ListOptions<Row = any> {
  /** Sent to the relay. */
  filter?: Filter;
  /** Rows to begin with. Default: `limit`, at most 500. */
  snapshot?: number;
  /** Rows shown at most. Default 100. Up to twice as many are kept, so that rows can move up. */
  limit?: number;
  /** Default `["-created_at", "-id"]`. */
  sort?: Sort<Row>;
  /** Shown only if it returns true. Applied here, so it may be anything. */
  where?: ((row: Row) => boolean) | null;
  /** What identifies a row. Default: its `id`. */
  key?: (row: Row) => string;
  /** At most one `onChange` in this many milliseconds. Default 100; 0 for every change at once. */
  throttleMs?: number;
  /** Called with each event as it comes, before `onChange`; not throttled. */
  onEvent?: (event: RowEvent<Row>) => void;
}

/** What changed since the `onChange` before. */
export interface ListChange {
  /** Rows that changed, by key, with the names of the fields; rows of a snapshot are not among them. */
  readonly touched: ReadonlyMap<string, { action: string; changed: readonly string[] }>;
  /** Events applied. */
  readonly events: number;
  /** True if a snapshot replaced everything. */
  readonly replaced: boolean;
}

export interface LiveList<Row = any> {
  /** Sorted, filtered, bounded. A new array after every change, the same one until then. */
  readonly rows: readonly Row[];
  readonly state: SubscriptionState;
  readonly error: RelayError | null;
  /** There are more rows than are shown. */
  readonly truncated: boolean;
  /** The order is not the relay's, and not all rows are here: rows that nobody has seen yet may belong among these. */
  readonly partial: boolean;
  /** Changes that could not be read since the last snapshot. */
  readonly withheld: number;
  readonly paused: boolean;
  /** While paused: how many different rows were added or changed. */
  readonly pending: number;
  /** Row by key, also of those that are kept and not shown. */
  get(key: string): Row | undefined;
  /** Change how it is shown; takes effect at once. */
  set(options: { sort?: Sort<Row>; where?: ((row: Row) => boolean) | null; limit?: number }): void;
  /** Replace the filter at the relay. */
  setFilter(filter: Filter): void;
  /** Hold `rows` as they are; changes go on behind. */
  pause(): void;
  resume(): void;
  /** Ask for a new snapshot. */
  refresh(): void;
  subscribe(listener: (list: LiveList<Row>, change: ListChange) => void): () => void;
  close(): void;
}

export function liveList<Row = any>(
  client: RelayClient,
  channel: string,
  options?: ListOptions<Row>,
  onChange?: (list: LiveList<Row>, change: ListChange) => void,
): LiveList<Row>;

/** An aggregate, put together from what changed: `metrics` and `trend_data`, or endpoints by their address. */
export interface LiveNumbers<Data = any> {
  /** Null until the whole has come. A new object after every change. */
  readonly data: Data | null;
  /** The moment the numbers are of; it moves on even where nothing changes. */
  readonly asOf: string | null;
  readonly state: SubscriptionState;
  readonly error: RelayError | null;
  /** False while the relay counts anew: what is here is out of date. */
  readonly complete: boolean;
  subscribe(listener: (numbers: LiveNumbers<Data>) => void): () => void;
  close(): void;
}

/** For `metrics`: `data` is `{metrics, trend_data}`. For `webhook_status`: `data` is `{[endpoint_url]: health}`. */
export function liveNumbers<Data = any>(
  client: RelayClient,
  channel: string,
  onChange?: (numbers: LiveNumbers<Data>) => void,
): LiveNumbers<Data>;

/** What `"-created_at"` and the like stand for. */
export function comparator<Row = any>(sort: Sort<Row>): Comparator<Row>;

export type { Numbers };

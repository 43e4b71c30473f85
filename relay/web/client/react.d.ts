/** React hooks. All components below one provider share one connection; so do providers with the same address. */
import type { ReactElement, ReactNode } from "react";
import type { ConnectOptions, Handlers, RelayClient, Status, SubscribeOptions } from "./index.js";
import type { ListOptions, LiveList, LiveNumbers } from "./list.js";

export interface RelayProviderProps extends Partial<ConnectOptions> {
  /** Use this client and leave its life to whoever made it. Otherwise one is made from the other properties. */
  client?: RelayClient;
  children?: ReactNode;
}

/** Makes the connection when the first one is mounted, and ends it soon after the last one is gone. */
export function RelayProvider(props: RelayProviderProps): ReactElement;
/** The client of the provider above. */
export function useRelay(): RelayClient;
/** The state of the connection; the component is rendered again whenever it changes. */
export function useStatus(): Status;
/**
 * A live list, as it was at its last change. `options.filter` and functions may be new objects in each render; `sort` and
 * `where` are applied anew when one of `deps` changes, as in `useEffect`.
 */
export function useLiveList<Row = any>(channel: string, options?: ListOptions<Row>, deps?: readonly unknown[]): LiveList<Row>;
/** An aggregate. */
export function useNumbers<Data = any>(channel: string): LiveNumbers<Data>;
/** Makes a provider for another way to connect; `RelayProvider` is `providerWith(connect)`. */
export function providerWith(connect: (options: ConnectOptions) => RelayClient): (props: RelayProviderProps) => ReactElement;
/** The events themselves. `handlers` may be a new object in each render: the latest is called. */
export function useChannel<Row = any>(channel: string, options?: SubscribeOptions, handlers?: Handlers<Row>): void;

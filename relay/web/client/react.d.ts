/** React hooks. All components below one provider share one connection; so do providers with the same address. */
import type { ReactElement, ReactNode } from "react";
import type { ConnectOptions, Handlers, RelayClient, Status, SubscribeOptions, Subscription } from "./index.js";
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
/** A live list. `options.filter` and functions may be new objects in each render. */
export function useLiveList<Row = any>(channel: string, options?: ListOptions<Row>): LiveList<Row>;
/** An aggregate. */
export function useNumbers<Data = any>(channel: string): LiveNumbers<Data>;
/** The events themselves. `handlers` may be a new object in each render: the latest is called. */
export function useChannel<Row = any>(channel: string, options?: SubscribeOptions, handlers?: Handlers<Row>): void;

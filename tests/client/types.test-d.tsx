// Compiled, never run: what the declarations promise to those who write TypeScript.
import { connect, RelayError, type RowEvent, type Status } from "@payment-relay/client";
import { comparator, liveList, liveNumbers } from "@payment-relay/client/list";
import { connectShared } from "@payment-relay/client/tabs";
import { RelayProvider, useChannel, useLiveList, useNumbers, useStatus } from "@payment-relay/client/react";

interface Payment {
  id: string;
  amount: string;
}

const client = connect({ url: "wss://relay.example", token: async () => "t", onStatus: (status: Status) => status.asOf });
const subscription = client.subscribe<Payment>("transactions", { filter: { status: "failed" }, snapshot: 50 }, {
  onSnapshot: (rows) => rows.map(({ amount }) => amount.length),
  onEvent: (event: RowEvent<Payment>) => event.row.amount.length,
  onError: (error: RelayError) => error.retryable && error.advice === "wait",
});
subscription.setFilter({});
// @ts-expect-error there is no such state
const wrong: boolean = client.status.state === "open";
// @ts-expect-error a token is needed
connect({ url: "wss://relay.example" });

const list = liveList<Payment>(client, "transactions", { sort: ["-amount"], where: ({ amount }) => amount !== "0" });
const first: string | undefined = list.rows[0]?.amount;
const numbers = liveNumbers<{ metrics: { failed: number } }>(client, "metrics", ({ data }) => data?.metrics.failed);
const order: number = comparator<Payment>("amount")({ id: "1", amount: "1" }, { id: "2", amount: "2" });

function Page() {
  const { rows } = useLiveList<Payment>("transactions", { limit: 10 }, []);
  const { data } = useNumbers<{ metrics: { failed: number } }>("metrics");
  useChannel<Payment>("transactions", {}, { onEvent: ({ row }) => row.amount });
  return <p>{[useStatus().state, rows.length, data?.metrics.failed].join()}</p>;
}

export const page = (
  <RelayProvider url="/" token="t">
    <Page />
  </RelayProvider>
);
export const shared: boolean = connectShared({ token: "t" }).status.transport === "shared";
export { first, numbers, order, wrong };

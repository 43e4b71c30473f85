// How the reader wants to see the list: filter, search and sort, as plain settings. Pure.

import { comparator } from "../client/list.js";

export const DEFAULT_SORT = "-created_at";

const name = (row) => row.customer_name || row.customer_email || "";
const plan = (row) => row.metadata?.plan_name || row.transaction_type || "";

/** Columns: [name, heading, how it compares (a field, or a function of the row)]. */
export const COLUMNS = [
  ["created_at", "Time", "created_at"],
  ["customer", "Customer", name],
  ["plan", "What", plan],
  ["amount", "Amount", "amount"],
  ["status", "Status", "status"],
  ["intent", "Payment", "payment_intent_id"],
];

/** Orders that the list can be in: [value, label], those of the columns and the latest change. */
export const ORDERS = [
  ["-created_at", "Newest first"],
  ["created_at", "Oldest first"],
  ["-updated_at", "Last changed first"],
  ["-amount", "Largest amount"],
  ["amount", "Smallest amount"],
  ["customer", "Customer"],
  ["plan", "What"],
  ["status", "Status"],
  ["intent", "Payment"],
];

/** The comparator of an order like "-amount"; rows that are equal stay newest first. */
export function order(sort) {
  const down = sort.startsWith("-");
  const column = COLUMNS.find(([each]) => each === sort.replace(/^-/, ""));
  const by = column ? column[2] : sort === "-updated_at" ? "updated_at" : "created_at";
  const rest = comparator(["-created_at", "-id"]);
  const first = typeof by === "function" ? (a, b) => by(a).localeCompare(by(b)) : comparator(by);
  return (a, b) => (down ? -first(a, b) : first(a, b)) || rest(a, b);
}

/** What the next press on a heading asks for: amounts and times begin with the largest, words with the first. */
export function turn(sort, column) {
  const downFirst = column === "created_at" || column === "amount";
  if (sort.replace(/^-/, "") !== column) return downFirst ? `-${column}` : column;
  return sort.startsWith("-") ? column : `-${column}`;
}

/** Which rows are shown: a function of the row, or null for all. */
export function where({ statuses, query }) {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!statuses.size && !wanted.length) return null;
  return (row) => (!statuses.size || statuses.has(row.status)) && (!wanted.length || found(row, wanted));
}

function found(row, wanted) {
  const hay = [
    row.id,
    row.customer_name,
    row.customer_email,
    row.amount,
    row.payment_intent_id,
    row.status,
    plan(row),
    row.metadata?.error_message,
  ]
    .join("\n")
    .toLowerCase();
  return wanted.every((word) => hay.includes(word));
}

/** From the address: {statuses, query, sort}. What is not known there is taken as if it were not there. */
export function read({ status = "", q = "", sort = "" }) {
  const known = ORDERS.some(([each]) => each === sort) || COLUMNS.some(([each]) => each === sort.replace(/^-/, ""));
  return { statuses: new Set(status.split(",").filter(Boolean)), query: q, sort: known ? sort : DEFAULT_SORT };
}

/** For the address: what differs from the page as it comes. */
export const write = ({ statuses, query, sort }) => ({
  status: [...statuses].join(","),
  q: query.trim(),
  sort: sort === DEFAULT_SORT ? "" : sort,
});

export { name as customer, plan };

// The numbers in words: what each tile says, of which window, and what it counts. Pure.
// docs/metrics.md has every definition in full, as SQL; these are its short forms.

import { integer, money, percent, signed } from "./format.js";

export const WINDOWS = [
  ["24h", "24 hours", 1],
  ["7d", "7 days", 7],
  ["30d", "30 days", 30],
];

const LEAST_SUCCESS = 90; // percent, below which the rate is marked

/** Tiles with a window: [{name, label, window, value, more, means, tone, flag}], only those whose number is known. */
export function large(numbers, window, currency) {
  const [, windowLabel, days] = WINDOWS.find(([name]) => name === window) ?? WINDOWS[0];
  const cash = (amount) => money(amount, currency);
  return known([
    {
      name: "success_rate",
      label: "Success rate",
      window: windowLabel,
      raw: numbers[`success_rate_${window}`],
      show: (rate) => percent(rate, 2),
      more: compared(numbers, window),
      means: "Worked, of the payments that were tried. A refund still worked.",
      flag: (rate) =>
        numbers[`total_transactions_${window}`] > 0 && rate < LEAST_SUCCESS ? `below ${LEAST_SUCCESS}%` : null,
    },
    {
      name: "total_revenue",
      label: "Revenue",
      window: windowLabel,
      raw: numbers[`total_revenue_${window}`],
      show: cash,
      more: daily(Number(numbers.total_revenue_30d), days, numbers[`total_revenue_${window}`], (amount) =>
        money(amount, currency, { cents: false }),
      ),
      means: "Paid and not refunded, by the time the payment was begun.",
    },
    {
      name: "total_transactions",
      label: "Payments",
      window: windowLabel,
      raw: numbers[`total_transactions_${window}`],
      show: (n) => integer(n),
      more: daily(numbers.total_transactions_30d, days, numbers[`total_transactions_${window}`], (n) =>
        integer(Math.round(n)),
      ),
      means: "All that were begun, whatever became of them.",
    },
    {
      name: "average_transaction_value",
      label: "Average",
      window: "30 days",
      raw: numbers.average_transaction_value,
      show: cash,
      more: "",
      means: "The mean payment, of those paid and not refunded.",
    },
  ]);
}

/** Tiles that count what is now. */
export function counts(numbers) {
  return known(
    [
      {
        name: "failed_transactions_24h",
        label: "Failed",
        window: "24 hours",
        means: "Payments that failed or were refused.",
      },
      { name: "pending_transactions", label: "Open", window: "now", means: "Neither worked nor failed yet." },
      {
        name: "stuck_transactions",
        label: "Stuck",
        window: "now",
        means: "Of those, open for too long.",
        flag: (n) => (n > 0 ? "needs a look" : null),
      },
      { name: "active_disputes", label: "Disputes", window: "now", means: "Not decided yet." },
      { name: "fraud_alerts", label: "Fraud alerts", window: "now", means: "That nobody has closed." },
    ].map((tile) => ({ show: (n) => integer(n), more: "", raw: numbers[tile.name], ...tile })),
  );
}

function known(tiles) {
  return tiles
    .filter(({ raw }) => raw !== undefined && raw !== null)
    .map(({ raw, show, flag, ...tile }) => {
      const warning = flag?.(raw) ?? null;
      return { ...tile, value: show(raw), tone: warning ? "warn" : null, flag: warning };
    });
}

function compared(numbers, window) {
  const long = numbers.success_rate_30d;
  const short = numbers[`success_rate_${window}`];
  if (window === "30d" || long === undefined || short === undefined) return "";
  return `${signed(short - long)} points on 30 days`;
}

// What a day brings: for the window itself, and for one day what thirty of them brought on average.
function daily(month, days, inWindow, show) {
  if (inWindow === undefined || !Number.isFinite(Number(month))) return "";
  return days === 1 ? `${show(month / 30)} a day in 30 days` : `${show(Number(inWindow) / days)} a day`;
}

// When a dispute has to be answered. Pure.

const DAY = 86_400_000;

/** Statuses of disputes that are not decided. */
export const OPEN = ["needs_response", "warning_needs_response", "under_review", "warning_under_review"];

export const needsAnswer = (row) => /needs_response$/.test(row.status) && !row.evidence_submitted;

/** {left in milliseconds or null, overdue, soon, tone, label}. */
export function deadline(row, now) {
  if (!needsAnswer(row))
    return {
      left: null,
      overdue: false,
      soon: false,
      tone: "busy",
      label: row.evidence_submitted ? "answered" : "under review",
    };
  const due = Date.parse(row.evidence_due_by ?? "");
  if (Number.isNaN(due)) return { left: null, overdue: false, soon: false, tone: "warn", label: "no deadline" };
  const left = due - now;
  const tone = left < DAY ? "bad" : left < 3 * DAY ? "warn" : "quiet";
  return { left, overdue: left < 0, soon: left >= 0 && left < DAY, tone, label: "" };
}

/** What waits for an answer first, the earliest deadline first of all; then what the bank thinks about. */
export function byDeadline(a, b) {
  const [waiting, other] = [needsAnswer(a), needsAnswer(b)];
  if (waiting !== other) return waiting ? -1 : 1;
  return (
    (Date.parse(a.evidence_due_by ?? "") || Infinity) - (Date.parse(b.evidence_due_by ?? "") || Infinity) ||
    Number(a.id) - Number(b.id)
  );
}

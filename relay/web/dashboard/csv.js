// Saving what is on the screen.

const COLUMNS = [
  "id",
  "created_at",
  "customer_name",
  "customer_email",
  "transaction_type",
  "amount",
  "currency",
  "status",
  "payment_intent_id",
];

/** Rows as CSV (RFC 4180). A value that a spreadsheet would take for a formula gets an apostrophe in front. */
export function csv(rows) {
  const columns = COLUMNS.filter((name) => rows.some((row) => row[name] !== undefined));
  const cell = (value) => {
    const plain = value === undefined || value === null ? "" : String(value);
    const safe = /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((line) => line.map(cell).join(","))
    .join("\r\n");
}

export function saveCsv(rows, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// How values are written for people. Pure: everything it needs comes as an argument.

const MINUS = "\u2212";

/**
 * "1234.5", "eur" -> "€1,234.50", or "€1,235" without cents. An amount is a decimal string, rounded for the eye alone.
 */
export function money(amount, currency = "eur", { cents = true, locale = undefined } = {}) {
  const value = Number(amount);
  if (amount === undefined || amount === null || amount === "" || !Number.isFinite(value)) return "–";
  try {
    return numbers(locale, {
      style: "currency",
      currency: currency.toUpperCase(),
      ...(cents ? {} : { maximumFractionDigits: 0 }),
    }).format(value);
  } catch {
    return `${value.toFixed(2)} ${currency}`; // a currency that Intl does not know
  }
}

// Making a formatter costs a hundred times what using it does.
const formatters = new Map();
function numbers(locale, options = {}) {
  const name = `${locale} ${JSON.stringify(options)}`;
  if (!formatters.has(name)) formatters.set(name, new Intl.NumberFormat(locale, options));
  return formatters.get(name);
}

/** Short money for axes and small places: 12.3K. */
export function compact(value, locale = undefined) {
  return numbers(locale, { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export const integer = (value, locale = undefined) =>
  value === undefined || value === null ? "–" : numbers(locale).format(value);

export function percent(value, digits = 1) {
  return value === undefined || value === null || !Number.isFinite(Number(value))
    ? "–"
    : `${Number(value).toFixed(digits)}%`;
}

/** Percentage points with a sign: "+1.2", "−0.4". */
export function signed(value, digits = 1) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? "±0" : (value < 0 ? MINUS : "+") + text;
}

const two = (number) => String(number).padStart(2, "0");

/** Time of day in the reader's zone, 24 hours: operators compare it with logs. */
export function clock(moment, seconds = true) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "–";
  return `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

let days = null;

/** The time of day, with the day in front of it unless that is today. */
export function when(moment, now = Date.now(), locale = undefined) {
  const date = new Date(moment);
  if (!moment || Number.isNaN(date.getTime())) return "–";
  if (date.setHours(0, 0, 0, 0) === new Date(now).setHours(0, 0, 0, 0)) return clock(moment);
  days ??= new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const day = days.format(date);
  return `${day}, ${clock(moment, false)}`;
}

/** A length of time in its one or two largest units: "4 s", "12 min", "3 h 05 min", "2 d 4 h". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return hours < 6 ? `${hours} h ${two(minutes % 60)} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return days < 7 && hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** "needs_response" -> "Needs response". */
export function words(name) {
  const text = String(name ?? "")
    .replaceAll("_", " ")
    .trim();
  return text ? text[0].toUpperCase() + text.slice(1) : "–";
}

/** "the database cannot be read" -> "The database cannot be read." */
export function sentence(reason) {
  const text = words(reason);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The end of an identifier, which is what people read to each other. */
export const tail = (id, length = 8) => (id && id.length > length ? `…${id.slice(-length)}` : id || "–");

/** "1 payment", "12 payments". */
export const count = (number, one, many = `${one}s`) => `${integer(number)} ${number === 1 ? one : many}`;

/** The zone that times are shown in, as people write it. */
export function zone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
}

/** The order of rows: decimals as numbers however long, timestamps as moments, nothing last. */

const DECIMAL = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/;

/** @param {string} a @param {string} b */
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Decimals as the relay writes them, exactly. @param {RegExpExecArray} a @param {RegExpExecArray} b */
function byDecimal([, sa, ia, fa = ""], [, sb, ib, fb = ""]) {
  const zero = (i, f) => !i && !f;
  const negative = (s, i, f) => s === "-" && !zero(i, f);
  const na = negative(sa, ia, fa);
  if (na !== negative(sb, ib, fb)) return na ? -1 : 1;
  const size = ia.length - ib.length || byText(ia, ib) || byText(fa, fb);
  return na ? -size : size;
}

/** Compare two values of a field. @param {any} a @param {any} b @returns {number} */
export function compareValues(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "string" && typeof b === "string") {
    const first = DECIMAL.exec(a);
    const second = first && DECIMAL.exec(b);
    if (first && second) return byDecimal(first, second);
    // "…01Z" is before "…01.5Z", but Z is after the dot.
    return byText(a.replace(/Z$/, ""), b.replace(/Z$/, ""));
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {import("./list.js").Sort} sort @returns {import("./list.js").Comparator} */
export function comparator(sort) {
  if (typeof sort === "function") return sort;
  const fields = (Array.isArray(sort) ? sort : [sort]).map((field) => (/^-/.test(field) ? [field.slice(1), -1] : [field, 1]));
  return (a, b) => {
    for (const [field, direction] of fields) {
      const x = a[field] ?? null;
      const y = b[field] ?? null;
      const order = compareValues(x, y);
      // What is missing comes last in either direction.
      if (order) return x === null || y === null ? order : order * direction;
    }
    return 0;
  };
}

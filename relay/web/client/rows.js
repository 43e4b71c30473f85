/**
 * The rows behind a live list: sorted, bounded, and honest about what it does not know.
 *
 * Below the `horizon` there may be rows that are not here: a snapshot was cut there, or rows were dropped there to stay
 * within bounds. So a row that moves below it goes, for nobody can say which rows stand between.
 */

export class Rows {
  /** @param {{order: (a: any, b: any) => number, key: (row: any) => string, capacity: number}} options */
  constructor({ order, key, capacity }) {
    this.key = key;
    this.capacity = capacity;
    this.order = order;
    /** @type {Map<string, any>} */
    this.byKey = new Map();
    /** @type {any[]} */
    this.sorted = [];
    /** @type {any} */
    this.horizon = undefined;
    /** The rows here are not the first ones in this order, only some. */
    this.partial = false;
  }

  /** Equal rows still have one order, so that they do not dance. @param {any} a @param {any} b */
  compare(a, b) {
    const order = this.order(a, b);
    if (order) return order;
    const x = this.key(a);
    const y = this.key(b);
    return x === y ? 0 : x < y ? -1 : 1;
  }

  get complete() {
    return this.horizon === undefined && !this.partial;
  }

  clear() {
    this.byKey.clear();
    this.sorted = [];
    this.horizon = undefined;
    this.partial = false;
  }

  /** @param {any[]} rows @param {boolean} truncated */
  replace(rows, truncated) {
    this.clear();
    for (const row of rows) this.byKey.set(this.key(row), row);
    this.sorted = [...this.byKey.values()].sort((a, b) => this.compare(a, b));
    if (truncated) {
      // The relay cut in its own order; only if that is also ours are these the first rows.
      const same = rows.every((row, place) => !place || this.order(rows[place - 1], row) <= 0);
      if (same && rows.length) this.horizon = this.sorted[this.sorted.length - 1];
      else this.partial = true;
    }
    this.bound();
  }

  /** @param {any} row */
  place(row) {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.sorted[middle], row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {string} key */
  remove(key) {
    const old = this.byKey.get(key);
    if (old === undefined) return false;
    this.byKey.delete(key);
    const place = this.place(old);
    // A comparator that contradicts itself shall cost its order, and no row.
    this.sorted.splice(this.sorted[place] === old ? place : this.sorted.indexOf(old), 1);
    return true;
  }

  /** @param {any} row @returns {boolean} whether anything changed */
  put(row) {
    const key = this.key(row);
    const known = this.remove(key);
    if (this.horizon !== undefined && this.compare(row, this.horizon) > 0) return known;
    this.byKey.set(key, row);
    this.sorted.splice(this.place(row), 0, row);
    this.bound();
    return true;
  }

  bound() {
    while (this.sorted.length > this.capacity) {
      const last = this.sorted.pop();
      this.byKey.delete(this.key(last));
      this.horizon = this.sorted[this.sorted.length - 1];
    }
  }

  /** @param {(a: any, b: any) => number} order @param {number} capacity */
  reorder(order, capacity) {
    this.capacity = capacity;
    if (order !== this.order) {
      // What was dropped was dropped in the old order.
      if (this.horizon !== undefined) this.partial = true;
      this.horizon = undefined;
      this.order = order;
      this.sorted.sort((a, b) => this.compare(a, b));
    }
    this.bound();
  }
}

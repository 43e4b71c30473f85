// What has happened to rows while this page was open. Pure, and bounded: a page stays open for weeks.

const MOST_ROWS = 2000;
const MOST_STEPS = 40;
const MOST_GAPS = 20;

/** The steps of the rows that changed last. */
export class History {
  #rows = new Map(); // "channel id" -> steps, the row that changed last at the end
  #gaps = [];

  /** `began`: since when this page has been watching, in milliseconds by the clock of the database. */
  constructor(began = null) {
    this.began = began;
  }

  get size() {
    return this.#rows.size;
  }

  /** One event of the client. */
  event({ channel, row, action, previousStatus, membership, changed, timestamp }) {
    const name = `${channel} ${row.id}`;
    const steps = this.#rows.get(name) ?? [];
    this.#rows.delete(name);
    this.#rows.set(name, steps);
    steps.push({ at: timestamp, action, status: row.status, previous: previousStatus, membership, changed });
    if (steps.length > MOST_STEPS) steps.shift();
    if (this.#rows.size > MOST_ROWS) this.#rows.delete(this.#rows.keys().next().value);
  }

  /** A stretch that was not seen: the page was told to begin anew at this moment (ISO 8601). */
  gap(at) {
    this.#gaps.push(at);
    if (this.#gaps.length > MOST_GAPS) this.#gaps.shift();
  }

  steps(channel, id) {
    return this.#rows.get(`${channel} ${id}`) ?? [];
  }

  /**
   * The life of a row for people, the earliest first: [{at, kind, status, previous, changed}], where `kind` is
   * "begun" and "found" (known from the row itself), an action, "left", or "gap".
   */
  tell(channel, row) {
    const steps = this.steps(channel, row.id).map((step) => ({
      at: step.at,
      status: step.status,
      previous: step.previous,
      changed: step.changed,
      kind: step.membership === "left" ? "left" : step.action,
    }));
    const told = steps.some((step) => step.kind === "created");
    if (row.created_at && !told) {
      const first = steps.find((step) => step.previous);
      steps.unshift({ at: row.created_at, kind: "begun", status: first?.previous ?? null });
      // Nothing was seen of how it came to be what it is.
      if (!first) steps.splice(1, 0, { at: row.updated_at ?? row.created_at, kind: "found", status: row.status });
    }
    const [begin, end] = [steps[0]?.at, steps.at(-1)?.at];
    const inside = this.#gaps.filter(
      (at) => begin && Date.parse(at) > Date.parse(begin) && Date.parse(at) < Date.parse(end),
    );
    steps.push(...inside.map((at) => ({ at, kind: "gap" })));
    return steps.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  }
}

/**
 * When a tab may let go of its own connection and listen to another tab's instead, with nothing lost and nothing twice.
 *
 * Two connections tell the same, at different moments. For a while this tab listens to both:
 *
 *     own     ── checkpoint s ─────────────── events: remembered ─────────── checkpoint e: let go here
 *     theirs       (ignored)     checkpoint k ── events: kept ──────────────────────┘ applied, but for those remembered
 *
 * With s a second before k and k a second before e, by the clock of the database: what theirs told before k was committed
 * before e, so own has told it; what theirs tells after k was not in s, so if own has told it, it is remembered. The second
 * is for two relays whose polls overlap.
 */

const APART_MS = 1000;
/** A tab that has to keep more than this is in the middle of something; it tries again later. */
const KEPT = 5000;

/** @param {any} message */
export const momentOf = (message) => Date.parse(message.as_of);

export class Meeting {
  /** @param {string} leader whose messages are theirs @param {number} begun the moment of the checkpoint s */
  constructor(leader, begun) {
    this.leader = leader;
    this.begun = begun;
    /** The moment of the checkpoint k. @type {number | null} */
    this.from = null;
    /** What own has told since s. @type {Set<string>} */
    this.told = new Set();
    /** What theirs has told since k. @type {any[]} */
    this.kept = [];
    /** @type {Record<string, string>} */
    this.views = {};
  }

  /** Own has told a change. @param {any} message */
  own({ channel, id }) {
    this.told.add(channel + " " + id);
  }

  /** @param {any} message @param {Record<string, string> | undefined} views what the leader shows, with a checkpoint */
  theirs(message, views) {
    if (views) this.views = views;
    if (this.from !== null) this.kept.push(message);
    else if (views && momentOf(message) >= this.begun + APART_MS) this.from = momentOf(message);
  }

  get tooMuch() {
    return this.kept.length > KEPT || this.told.size > KEPT;
  }

  /** Whether own may be let go at its checkpoint of this moment. @param {number} moment @param {Record<string, string>} mine */
  over(moment, mine) {
    return this.from !== null && moment >= this.from + APART_MS && covers(this.views, mine);
  }
}

/** What is left of a meeting: which of theirs to pass over, until one of their checkpoints has passed it all. */
export class Rest {
  /** @param {Set<string>} told @param {number} moment of the checkpoint e */
  constructor(told, moment) {
    this.told = told;
    this.moment = moment;
  }

  /** @param {any} message @returns {boolean} whether this tab has it already */
  has({ channel, id }) {
    return this.told.has(channel + " " + id);
  }

  /** Whether a checkpoint speaks for all that this tab was told; from then on all of them do. @param {any} message */
  passed(message) {
    if (momentOf(message) < this.moment + APART_MS) return false;
    this.moment = -Infinity;
    this.told.clear();
    return true;
  }
}

/** Whether everything of `mine` is shown, and the same, by whoever shows `theirs`. @param {Record<string, string>} theirs @param {Record<string, string>} mine */
export const covers = (theirs, mine) => Object.keys(mine).every((name) => theirs[name] === mine[name]);

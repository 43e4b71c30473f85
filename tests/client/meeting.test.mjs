import assert from "node:assert/strict";
import { test } from "node:test";
import { Meeting, Rest } from "../../relay/web/client/meeting.js";

/** Numbers from a seed, so that a failure can be had again. */
function dice(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state / 2147483648) * below;
  };
}

/** What one connection tells, as [arrival, message]: polls of its own, which see a little more than their moment says. */
function stream(commits, roll) {
  const told = [];
  let seen = 0;
  let arrival = 0;
  for (let moment = roll(2000); moment < 60000; moment += 200 + roll(2000)) {
    const reach = moment + roll(400);
    arrival = Math.max(arrival, moment + roll(4000)); // late at times, but in order
    for (; seen < commits.length && commits[seen] <= reach; seen += 1) {
      told.push([arrival, { type: "change", channel: "c", id: String(seen) }]);
    }
    told.push([arrival, { type: "checkpoint", as_of: new Date(moment).toISOString(), covers: seen }]);
  }
  return told;
}

/** Follow both, as a tab does; what it was given, and whether it came to share. */
function run(seed) {
  const roll = dice(seed);
  const commits = Array.from({ length: 200 }, () => roll(58000)).sort((a, b) => a - b);
  const own = stream(commits, roll).map((told) => [...told, "own"]);
  const theirs = stream(commits, roll).map((told) => [...told, "theirs"]);
  const all = [...own, ...theirs].sort((a, b) => a[0] - b[0]);
  const cut = roll(60000);
  const given = [];
  let since = 0; // what the last checkpoint covers
  let seen = new Set();
  let meeting = null;
  let rest = null;
  const apply = (message) => {
    if (message.type === "checkpoint") {
      since = message.covers;
      seen = new Set();
    } else if (!seen.has(message.id)) {
      seen.add(message.id);
      given.push(message.id);
    }
  };
  const follow = (message) => {
    if (message.type === "checkpoint" ? rest.passed(message) : !rest.has(message)) apply(message);
  };
  for (const [arrival, message, from] of all) {
    if (arrival > cut) break;
    const checkpoint = message.type === "checkpoint";
    const moment = checkpoint ? Date.parse(message.as_of) : 0;
    if (from === "own" && !rest) {
      apply(message);
      if (!checkpoint) meeting?.own(message);
      else if (!meeting) meeting = new Meeting("leader", moment);
      else if (meeting.over(moment, { c: "v" })) {
        rest = new Rest(meeting.told, moment);
        meeting.kept.forEach(follow);
      }
    } else if (from === "theirs") {
      if (rest) follow(message);
      else meeting?.theirs(message, checkpoint ? { c: "v" } : undefined);
    }
  }
  // The connection is cut; the next one resumes from what was kept.
  for (let id = since; id < commits.length; id += 1) apply({ type: "change", id: String(id) });
  return { given, shares: rest !== null };
}

test("whenever it changes over, and is cut, a tab is given each event once", () => {
  let shared = 0;
  for (let seed = 1; seed <= 1000; seed += 1) {
    const { given, shares } = run(seed);
    shared += shares;
    assert.deepEqual([...given].map(Number).sort((a, b) => a - b), Array.from({ length: 200 }, (_, id) => id), `seed ${seed}`);
  }
  assert.ok(shared > 300);
});

// Where values go on a chart. Pure.

/** Round numbers from `low` up to at least `high`, about `steps` of them between: the labels of an axis. */
export function ticks(low, high, steps = 4) {
  const reach = high - low || 1;
  const raw = reach / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw - 1e-9);
  const from = Math.floor(low / step + 1e-9) * step;
  const values = [];
  // Counted, not added up: 0.1 + 0.2 is no label for people.
  for (let i = 0; ; i++) {
    const value = Number((from + i * step).toPrecision(12));
    values.push(value);
    if (value >= high - 1e-9) return values;
  }
}

/** What a series says in one sentence, for those who cannot see the chart. */
export function summary(label, points, show, name) {
  if (!points.length) return `${label}: nothing yet`;
  const values = points.map((point) => point.value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const at = (value) => name(points[values.indexOf(value)]);
  return (
    `${label}, ${points.length} points, the last one still going on. Most ${show(most)} at ${at(most)}, ` +
    `least ${show(least)} at ${at(least)}, now ${show(values.at(-1))}.`
  );
}

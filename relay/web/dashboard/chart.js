// The trend: bars or a line, drawn as SVG, and the same numbers as a table.

import { $, h, s, text, toggle } from "./dom.js";
import { clock, compact, integer, money, percent, span, when, zone } from "./format.js";
import { summary, ticks } from "./scale.js";
import { segments } from "./segments.js";

const HEIGHT = 208,
  LEFT = 46,
  RIGHT = 8,
  TOP = 12,
  BOTTOM = 24;

export class Chart {
  #numbers = null;
  #series;
  #drawn = "";
  #width = 0;

  constructor({ series, choose, currency, mark }) {
    this.#series = series;
    this.currency = currency;
    this.kinds = {
      revenue: { label: "Revenue", show: (v) => money(v, currency()), axis: compact, line: false },
      transactions: { label: "Payments", show: (v) => integer(v), axis: compact, line: false },
      success_rate: { label: "Success rate", show: (v) => percent(v, 1), axis: (v) => `${v}%`, line: true },
    };
    this.choice = segments(
      $("series"),
      Object.entries(this.kinds).map(([name, kind]) => [name, kind.label]),
      series,
      (name) => {
        this.#series = name;
        choose(name);
        this.paint();
      },
    );
    this.plot = h("div");
    this.reading = h("div", { class: "reading", hidden: true, "aria-hidden": "true" });
    this.table = h("table");
    $("chart").append(this.plot, this.reading, h("details", {}, h("summary", {}, "As a table"), this.table));
    this.plot.addEventListener("pointermove", (event) => this.#read(event.target));
    this.plot.addEventListener("pointerleave", () => this.#read(null));
    new ResizeObserver(([entry]) => {
      this.#width = Math.round(entry.contentRect.width);
      mark();
    }).observe(this.plot);
  }

  set(numbers) {
    this.#numbers = numbers;
  }

  setSeries(series) {
    this.#series = series;
    this.choice(series);
  }

  paint() {
    const data = this.#numbers?.data?.trend_data;
    const kind = this.kinds[this.#series];
    const points = (data?.[this.#series] ?? []).map((point) => ({ at: point.timestamp, value: Number(point.value) }));
    // A point without payments has a rate of 0, like one in which all failed: it is left open instead.
    const empty = (data?.transactions ?? []).map((point) => Number(point.value) === 0);
    const drawing = JSON.stringify([this.#series, this.#width, points, empty, this.currency()]);
    if (drawing === this.#drawn || !this.#width) return;
    this.#drawn = drawing;
    const step = points.length > 1 ? Date.parse(points[1].at) - Date.parse(points[0].at) : 0;
    text(
      $("trend-sub"),
      points.length
        ? `Last ${length(step * points.length)} by ${step === 3_600_000 ? "the hour" : span(step)}, ${zone()}`
        : "",
    );
    this.#draw(points, empty, kind, step);
    this.#tabulate(points, kind);
  }

  #draw(points, empty, kind, step) {
    const values = points.filter((_, i) => !kind.line || !empty[i]).map((point) => point.value);
    const low = kind.line && values.length ? Math.min(...values) : 0;
    const labels = kind.line ? ticks(Math.min(low, 90), 100) : ticks(0, Math.max(1, ...values));
    const [bottom, top] = [labels[0], labels.at(-1)];
    const inside = this.#width - LEFT - RIGHT;
    const place = inside / Math.max(1, points.length);
    const x = (i) => LEFT + (i + 0.5) * place;
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom));
    this.at = { x, points, kind, empty };
    this.plot.replaceChildren(
      s(
        "svg",
        {
          viewBox: `0 0 ${this.#width} ${HEIGHT}`,
          role: "img",
          "aria-label": summary(kind.label, points, kind.show, (p) => clock(p.at, false)),
        },
        labels
          .map((value) => [
            s("line", { class: "grid", x1: LEFT, x2: this.#width - RIGHT, y1: y(value), y2: y(value) }),
            s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, kind.axis(value)),
          ])
          .flat(),
        hours(points, step, inside).map((i) =>
          s("text", { x: x(i), y: HEIGHT - 6, "text-anchor": "middle" }, label(points[i].at, step)),
        ),
        kind.line ? line(points, empty, x, y) : bars(points, place, x, y),
        points.map((_, i) =>
          s("rect", {
            class: "hit",
            x: x(i) - place / 2,
            y: TOP,
            width: place,
            height: HEIGHT - TOP - BOTTOM,
            "data-i": i,
          }),
        ),
      ),
    );
  }

  #tabulate(points, kind) {
    this.table.replaceChildren(
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "From"), h("th", { scope: "col" }, kind.label))),
      h(
        "tbody",
        {},
        points.map((point) => h("tr", {}, h("td", {}, when(point.at)), h("td", {}, kind.show(point.value)))),
      ),
    );
  }

  #read(target) {
    const index = target?.dataset?.i;
    toggle(this.reading, index !== undefined);
    if (index === undefined) return;
    const { x, points, kind, empty } = this.at;
    const point = points[index];
    const last = Number(index) === points.length - 1;
    const value = kind.line && empty[index] ? "no payments" : kind.show(point.value);
    text(this.reading, `${when(point.at)}: ${value}${last ? ", still going on" : ""}`);
    // Near the edges the reading stays inside of the card.
    this.reading.style.left = `${Math.min(Math.max(x(Number(index)), 80), this.#width - 80)}px`;
  }
}

function bars(points, place, x, y) {
  const width = Math.max(1, Math.min(34, place * 0.68));
  return points.map((point, i) => {
    const height = Math.max(point.value > 0 ? 1.5 : 0, y(0) - y(point.value));
    return s("rect", {
      class: i === points.length - 1 ? "bar open" : "bar",
      x: x(i) - width / 2,
      y: y(0) - height,
      width,
      height,
      rx: Math.min(2, height / 2),
    });
  });
}

function line(points, empty, x, y) {
  let path = "";
  points.forEach((point, i) => {
    if (!empty[i]) path += `${path === "" || empty[i - 1] ? "M" : "L"}${x(i).toFixed(1)} ${y(point.value).toFixed(1)}`;
  });
  const last = points.length - 1;
  return [
    s("path", { class: "line", d: path }),
    last >= 0 && !empty[last] && s("circle", { class: "dot", cx: x(last), cy: y(points[last].value), r: 4 }),
  ];
}

const length = (milliseconds) => (milliseconds === 86_400_000 ? "24 hours" : span(milliseconds));

const label = (moment, step) => (step >= 86_400_000 ? when(moment).split(",")[0] : clock(moment, false));

/** Which points get a label: full hours apart, as many as there is room for. */
function hours(points, step, width) {
  const every = [1, 2, 3, 4, 6, 8, 12, 24].find((n) => (points.length / n) * 52 <= width) ?? 24;
  return points
    .map((_, i) => i)
    .filter((i) =>
      step && step < 86_400_000
        ? new Date(points[i].at).getHours() % every === 0 && (step >= 3_600_000 || i % every === 0)
        : i % every === 0,
    );
}

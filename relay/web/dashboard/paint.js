// When to paint: what changed is marked, and painted together, a few times a second, however many events came.

const LEAST_MS = 200;
const MOST_MS = 2000;
/** Of the time, at most, that goes into painting: on a slow machine it paints less often, and not everything late. */
const SHARE = 0.2;

/** Parts of the page that can be marked as out of date, and a clock that marks those which show ages. */
export class Painter {
  #parts = new Map();
  #marked = new Set();
  #waiting = false;
  #last = 0;
  #pause = LEAST_MS;

  /** Announce a part; `paint` brings it up to date. With `ticks` it is marked every second, too. */
  add(name, paint, { ticks = false } = {}) {
    this.#parts.set(name, { paint, ticks });
    this.mark(name);
  }

  mark(...names) {
    for (const name of names) this.#marked.add(name);
    this.#ask();
  }

  start() {
    setInterval(() => this.mark(...[...this.#parts].filter(([, part]) => part.ticks).map(([name]) => name)), 1000);
    // A hidden page paints nothing; when it is looked at again it shows what is, at once.
    document.addEventListener("visibilitychange", () => this.mark(...this.#parts.keys()));
  }

  #ask() {
    if (this.#waiting || document.hidden) return;
    this.#waiting = true;
    const pause = Math.max(0, this.#last + this.#pause - performance.now());
    // A timer first: an animation frame alone would come sixty times a second.
    setTimeout(() => requestAnimationFrame(() => this.#paint()), pause);
  }

  #paint() {
    const begin = performance.now();
    const names = [...this.#marked];
    this.#marked.clear();
    for (const name of names) {
      try {
        this.#parts.get(name)?.paint();
      } catch (error) {
        console.error(`painting ${name} failed`, error); // one part that fails does not stop the others
      }
    }
    // A message comes after the frame: what the browser needs for layout and drawing counts, too.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      this.#last = performance.now();
      this.#pause = Math.min(MOST_MS, Math.max(LEAST_MS, (this.#last - begin) / SHARE));
      this.#waiting = false;
      if (this.#marked.size) this.#ask();
    };
    port2.postMessage(null);
  }
}

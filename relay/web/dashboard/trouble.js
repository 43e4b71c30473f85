// What can go wrong, told to the reader: errors, a token that ends, changes that could not be read.

import { clock, count, sentence } from "./format.js";

const SOON_MS = 60_000;

export class Trouble {
  #status = null;

  constructor({ notices, session, giveToken }) {
    Object.assign(this, { notices, session, giveToken });
  }

  /** An error of the client or of one channel. */
  error = (error) => {
    if (/^token_(missing|invalid|expired|refused)$/.test(error.code)) this.session.refused();
    // What passes by itself is told in the status, as long as it lasts.
    if (error.retryable || error.advice === "sign-in" || ["unknown_channel", "filter_refused"].includes(error.code))
      return;
    this.notices.show(`error ${error.code} ${error.channel ?? ""}`, {
      tone: "bad",
      title: error.channel ? `${error.channel}:` : "Error:",
      text: error.message,
    });
  };

  status(status) {
    this.#status = status;
    if (status.state === "degraded") {
      this.notices.show("degraded", {
        keep: true,
        title: `Changes may be missing since ${clock(status.degraded.since)}.`,
        text:
          (status.degraded.reason ? `${sentence(status.degraded.reason)} ` : "") +
          `What is shown is complete up to ${clock(status.asOf)}; the rest follows by itself.`,
      });
    } else this.notices.clear("degraded");
  }

  /** Every second: what has become true by the passing of time. `withheld`: parts by name. */
  watch({ withheld }) {
    const end = this.session.expiresAt;
    const ends =
      end !== null && !this.session.renews && end - Date.now() < SOON_MS && this.#status?.state !== "signed-out";
    if (ends)
      this.notices.show("token", {
        keep: true,
        title: `Your token ends at ${clock(end)}.`,
        text: "Give a fresh one to stay connected.",
        action: ["Give a token", this.giveToken],
      });
    else this.notices.clear("token");
    const parts = Object.entries(withheld).filter(([, part]) => part.withheld > 0);
    const total = parts.reduce((sum, [, part]) => sum + part.withheld, 0);
    if (total === (this.total ?? 0)) return;
    this.total = total;
    if (total)
      this.notices.show("withheld", {
        title: `${count(total, "change")} could not be shown`,
        text:
          `(${parts.map(([name]) => name).join(", ")}): their rows could not be read. ` +
          "Operators are told; the numbers above count them.",
      });
    else this.notices.clear("withheld");
  }
}

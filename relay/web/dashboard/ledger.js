// Everything that is remembered of rows besides the lists: histories, failures, and payments that are still open.

import { History } from "./history.js";
import { OpenPayments } from "./open-payments.js";
import { FailureWatch } from "./spike.js";

const SNAPSHOT = 500;

export class Ledger {
  history = new History();
  failures = new FailureWatch();
  open = new OpenPayments();

  /**
   * `now()`: the clock of the database, in milliseconds; `mark(...parts)`: these are to be painted; `comeback` is told of
   * every change.
   */
  constructor({ now, mark, comeback }) {
    Object.assign(this, { now, mark, comeback });
  }

  /** Watch all payments, whatever the list shows of them. */
  attach(client) {
    client.subscribe(
      "transactions",
      { snapshot: SNAPSHOT },
      {
        onSnapshot: (rows) => {
          this.history.began ??= this.now();
          this.failures.seed(rows);
          this.open.seed(rows);
          this.mark("stuck", "spike");
        },
        onEvent: (event) => {
          this.note(event);
          this.failures.event(event);
          this.open.event(event);
          this.mark("stuck", "spike");
        },
        onReset: () => {
          this.history.gap(new Date(this.now()).toISOString());
          this.comeback.reset();
        },
      },
    );
  }

  /** An event of any channel, for its row's history. */
  note = (event) => {
    this.history.event(event);
    this.comeback.change();
    this.mark("detail");
  };
}

// A relay inside of the page, in which a week passes as fast as the page can follow: it takes the place of WebSocket.
// Payments are made and move, and so do disputes, alerts and webhooks. `week.pass(n)` makes n changes.

(() => {
  const CHANNELS = ["transactions", "disputes", "fraud_alerts", "webhooks", "metrics", "webhook_status"];
  const STEP_MS = 21000; // between two changes, so that 30,000 of them are more than a week
  const begin = Date.now();
  let socket = null;
  let number = 0;

  const iso = () => new Date(begin + number * STEP_MS).toISOString();
  const tell = (message) => socket.onmessage({ data: JSON.stringify(message) });
  const checkpoint = () => tell({ type: "checkpoint", cursor: `c${number}`, as_of: iso() });

  const rows = {
    transactions: (id, status) => ({
      id,
      payment_intent_id: `pi_${id}`,
      customer_name: `Person ${id % 90}`,
      customer_email: `p${id % 90}@example.org`,
      amount: `${(id % 300) + 1}.50`,
      currency: "eur",
      status,
      transaction_type: "package",
      created_at: iso(),
      updated_at: iso(),
      metadata: { plan_name: "5 hours", ...(status === "failed" ? { error_message: `reason ${id}` } : {}) },
    }),
    disputes: (id, status) => ({
      id,
      dispute_id: `dp_${id}`,
      amount: "20.00",
      currency: "eur",
      reason: "fraudulent",
      status,
      evidence_due_by: iso(),
      evidence_submitted: false,
      created_at: iso(),
    }),
    fraud_alerts: (id, status) => ({
      id,
      alert_type: "card_testing",
      risk_score: id % 100,
      status,
      created_at: iso(),
      severity: "high",
    }),
    webhooks: (id, status) => ({
      id,
      event_type: "charge.refunded",
      status,
      attempts: 1,
      received_at: iso(),
      error_message: "",
    }),
  };
  const kinds = {
    transactions: ["transaction_update", "transaction", ["processing", "succeeded", "failed", "refunded"]],
    disputes: ["dispute_update", "dispute", ["needs_response", "under_review"]],
    fraud_alerts: ["fraud_alert", "alert", ["active", "investigating"]],
    webhooks: ["webhook_event", "event", ["pending", "succeeded"]],
  };

  function change() {
    number += 1;
    const channel = number % 10 < 7 ? "transactions" : ["disputes", "fraud_alerts", "webhooks"][number % 3];
    const [type, object, statuses] = kinds[channel];
    const again = number % 2 === 0;
    const id = String(again ? number - 1 : number);
    const status = statuses[again ? 1 + (number % (statuses.length - 1)) : 0];
    tell({
      type,
      channel,
      id: String(number),
      timestamp: iso(),
      data: {
        action: again ? "status_changed" : "created",
        [object]: rows[channel](id, status),
        ...(again ? { previous_status: statuses[0] } : {}),
      },
      ...(channel !== "transactions" && channel !== "webhooks" && number % 5 === 0 ? { membership: "left" } : {}),
    });
    if (number % 10 === 0) numbers();
    if (number % 20 === 0) checkpoint();
  }

  function numbers() {
    const series = Array.from({ length: 24 }, (_, i) => ({
      timestamp: new Date(begin + (i - 23) * 3600000).toISOString(),
      value: (number + i) % 50,
    }));
    tell({
      type: "metrics_update",
      channel: "metrics",
      id: `m${number}`,
      timestamp: iso(),
      as_of: iso(),
      complete: true,
      data: {
        metrics: { total_transactions_24h: number, success_rate_24h: 93.1, total_revenue_24h: `${number}.00` },
        trend_data: { transactions: series, revenue: series, success_rate: series },
      },
    });
  }

  window.WebSocket = class {
    readyState = 0;
    constructor() {
      socket = this;
      setTimeout(() => {
        this.readyState = 1;
        this.onopen?.({});
        tell({
          type: "welcome",
          protocol: 1,
          connection: "1",
          subject: "wall",
          channels: CHANNELS,
          heartbeat_seconds: 600,
          expires_at: iso(),
          cursor: "c0",
        });
      }, 5);
    }
    send(text) {
      const { type, channels, id } = JSON.parse(text);
      if (type !== "subscribe") return;
      const granted = Object.fromEntries(
        channels.map((name) => [name, { filter: {}, view: "v", resumed: false, replayed: 0 }]),
      );
      tell({ type: "subscribed", id, channels: granted });
      for (const channel of channels)
        if (kinds[channel]) tell({ type: "snapshot", channel, rows: [], truncated: false });
      numbers();
      checkpoint();
    }
    close() {}
  };

  window.week = {
    burst: (count) => {
      for (let i = 0; i < count; i++) change();
    },
    days: () => (number * STEP_MS) / 86400000,
    /** Make `count` changes, as fast as the page can take them while it goes on painting. */
    pass: (count) =>
      new Promise((resolve) => {
        const some = () => {
          for (let i = 0; i < 200 && count > 0; i++, count--) change();
          if (count > 0) setTimeout(some);
          else setTimeout(resolve, 1000); // the last of it is painted
        };
        some();
      }),
  };
})();

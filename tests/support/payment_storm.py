"""Random writes to all payment tables, as a backend, an administrator and a careless script would make them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from tests.support.counted import Clock

__all__ = ["Storm"]

PAYMENT = (
    "pending",
    "processing",
    "completed",
    "completed",
    "completed",
    "failed",
    "cancelled",
    "refunded",
    "odd",
)
DISPUTE = ("warning_needs_response", "needs_response", "under_review", "won", "lost", "charge_refunded")
ALERT = ("active", "investigating", "resolved", "false_positive")
WEBHOOK = ("received", "processing", "processed", "processed", "processed", "failed", "retrying")
MESSAGES = ("", "timeout", "card_declined", "Ungültige Signatur", "x" * 700)
#: In minutes: around the edges of all windows, in between, and in the future.
AGES = (
    -100_000,
    -3,
    -1,
    0,
    1,
    2,
    30,
    59,
    60,
    61,
    600,
    1439,
    1440,
    1441,
    5000,
    10080,
    10081,
    30000,
    43200,
    43201,
    70000,
)


class Storm:
    """Writes on one connection, to rows of its own: two of them do not wait for each other."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], clock: Clock, number: int, seed: int
    ) -> None:
        self.rows = 0
        self._connection = connection
        self._clock = clock
        self._random = random.Random(seed)
        self._name = f"{number}-{seed}"
        self._serial = 0
        self._students: list[int] = []
        self._ids: dict[str, list[int]] = {"payment": [], "dispute": [], "alert": [], "webhook": []}

    async def begin(self) -> None:
        """Students to pay."""
        rows = await self._run(
            "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
            " date_joined) SELECT %s || '-' || n || '@example.com', 'N', '', '', true, false, false, now()"
            " FROM generate_series(1, 20) AS n RETURNING id",
            self._name,
        )
        self._students = [id for (id,) in rows]

    async def blow(self, rows: int) -> None:
        """Go on until so many rows were written, in transactions of some statements; one in twenty is rolled back."""
        acts: Sequence[tuple[int, Callable[[], Awaitable[Any]]]] = (
            (8, self._pay),
            (8, self._move),
            (3, self._correct),
            (3, self._back_date),
            (3, self._refund),
            (2, self._touch),
            (2, self._delete),
            (4, self._dispute),
            (4, self._alert),
            (8, self._receive),
            (8, self._process),
            (2, self._forget),
            (1, self._enrol),
        )
        weights, choices = [weight for weight, _ in acts], [act for _, act in acts]
        while self.rows < rows:
            known = {name: list(ids) for name, ids in self._ids.items()}
            async with self._connection.transaction() as transaction:
                for act in self._random.choices(choices, weights, k=self._random.randint(1, 5)):
                    await act()
                if self._random.random() < 0.05:
                    self._ids = known
                    raise psycopg.Rollback(transaction)

    async def _run(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(statement, params)
        self.rows += cursor.rowcount
        return await cursor.fetchall() if cursor.description else []

    def _times(self, count: int) -> list[str]:
        if self._random.random() < 0.03:
            return [self._random.choice(["infinity", "-infinity"])] * count
        return [self._time().isoformat() for _ in range(count)]

    def _time(self) -> datetime:
        age = self._random.choice(AGES) if self._random.random() < 0.6 else self._random.randrange(60_000)
        return self._clock.now - timedelta(minutes=age, microseconds=self._random.randrange(60_000_000))

    def _amounts(self, count: int) -> list[str]:
        return [
            "NaN" if self._random.random() < 0.01 else f"{self._random.randrange(10**8) / 100:.2f}"
            for _ in range(count)
        ]

    def _some(self, kind: str, most: int = 30) -> list[int]:
        ids = self._ids[kind]
        return sorted(self._random.sample(ids, min(len(ids), self._random.randint(1, most))))

    def _of(self, values: Sequence[str], count: int) -> list[str]:
        return [self._random.choice(values) for _ in range(count)]

    async def _pay(self) -> None:
        count = self._random.randint(1, 40)
        rows = await self._run(
            "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
            " created_at, updated_at) SELECT %s, 'package', v.amount, v.status, '{}', v.at, now()"
            " FROM unnest(%s::numeric[], %s::text[], %s::timestamptz[]) AS v (amount, status, at) RETURNING id",
            self._random.choice(self._students),
            self._amounts(count),
            self._of(PAYMENT, count),
            self._times(count),
        )
        self._ids["payment"] += [id for (id,) in rows]

    async def _move(self) -> None:
        ids = self._some("payment")
        await self._run(
            "UPDATE finances_purchasetransaction AS t SET payment_status = v.status"
            " FROM unnest(%s::bigint[], %s::text[]) AS v (id, status) WHERE t.id = v.id",
            ids,
            self._of(PAYMENT, len(ids)),
        )

    async def _correct(self) -> None:
        ids = self._some("payment")
        await self._run(
            "UPDATE finances_purchasetransaction AS t SET amount = v.amount"
            " FROM unnest(%s::bigint[], %s::numeric[]) AS v (id, amount) WHERE t.id = v.id",
            ids,
            self._amounts(len(ids)),
        )

    async def _back_date(self) -> None:
        ids = self._some("payment")
        await self._run(
            "UPDATE finances_purchasetransaction AS t SET created_at = v.at"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS v (id, at) WHERE t.id = v.id",
            ids,
            self._times(len(ids)),
        )

    async def _refund(self) -> None:
        await self._run(
            "UPDATE finances_purchasetransaction SET payment_status = 'refunded',"
            " metadata = '{\"refunds\": [{\"amount\": 1}]}' WHERE id = ANY(%s) AND payment_status = 'completed'",
            self._some("payment"),
        )

    async def _touch(self) -> None:
        await self._run(
            "UPDATE finances_purchasetransaction SET updated_at = clock_timestamp() WHERE id = ANY(%s)",
            self._some("payment"),
        )

    async def _delete(self) -> None:
        ids = self._some("payment", 10)
        await self._run("DELETE FROM finances_paymentdispute WHERE purchase_transaction_id = ANY(%s)", ids)
        await self._run(
            "DELETE FROM finances_fraudalert_related_transactions WHERE purchasetransaction_id = ANY(%s)", ids
        )
        await self._run("DELETE FROM finances_purchasetransaction WHERE id = ANY(%s)", ids)
        self._ids["payment"] = [id for id in self._ids["payment"] if id not in ids]

    async def _dispute(self) -> None:
        if self._random.random() < 0.5:
            ids = self._some("dispute")
            await self._run(
                "UPDATE finances_paymentdispute AS d SET status = v.status"
                " FROM unnest(%s::bigint[], %s::text[]) AS v (id, status) WHERE d.id = v.id",
                ids,
                self._of(DISPUTE, len(ids)),
            )
            return
        payments = self._some("payment")
        self._serial += 1
        rows = await self._run(
            "INSERT INTO finances_paymentdispute (stripe_dispute_id, purchase_transaction_id, amount, currency, reason,"
            " status, evidence_details, is_responded, internal_notes, stripe_metadata, created_at, updated_at)"
            " SELECT %s || v.payment, v.payment, 1, 'eur', 'general', v.status, '{}', false, '', '{}', now(), now()"
            " FROM unnest(%s::bigint[], %s::text[]) AS v (payment, status) RETURNING id",
            f"{self._name}-{self._serial}-",
            payments,
            self._of(DISPUTE, len(payments)),
        )
        self._ids["dispute"] += [id for (id,) in rows]

    async def _alert(self) -> None:
        if self._random.random() < 0.5:
            ids = self._some("alert")
            await self._run(
                "UPDATE finances_fraudalert AS a SET status = v.status"
                " FROM unnest(%s::bigint[], %s::text[]) AS v (id, status) WHERE a.id = v.id",
                ids,
                self._of(ALERT, len(ids)),
            )
            return
        count = self._random.randint(1, 10)
        self._serial += 1
        rows = await self._run(
            "INSERT INTO finances_fraudalert (alert_id, severity, status, alert_type, description, detection_data,"
            " risk_score, resolution_notes, actions_taken, created_at, updated_at)"
            " SELECT %s || v.n, 'low', v.status, 'odd', '', '{}', 50, '', '[]', now(), now()"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS v (status, n) RETURNING id",
            f"{self._name}-{self._serial}-",
            self._of(ALERT, count),
        )
        self._ids["alert"] += [id for (id,) in rows]
        if self._ids["payment"]:
            await self._run(
                "INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id)"
                " VALUES (%s, %s)",
                rows[0][0],
                self._random.choice(self._ids["payment"]),
            )

    async def _receive(self) -> None:
        count = self._random.randint(1, 40)
        self._serial += 1
        rows = await self._run(
            "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, error_message,"
            " retry_count, created_at, updated_at) SELECT %s || v.n, 'x', 'received', '{}', '', 0, v.at, now()"
            " FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS v (at, n) RETURNING id",
            f"{self._name}-{self._serial}-",
            self._times(count),
        )
        self._ids["webhook"] += [id for (id,) in rows]

    async def _process(self) -> None:
        ids = self._some("webhook")
        await self._run(
            "UPDATE finances_webhookeventlog AS w SET status = v.status, processed_at = v.at,"
            " error_message = v.message, retry_count = retry_count + 1"
            " FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[]) AS v (id, status, at, message)"
            " WHERE w.id = v.id",
            ids,
            self._of(WEBHOOK, len(ids)),
            [None if self._random.random() < 0.1 else at for at in self._times(len(ids))],
            self._of(MESSAGES, len(ids)),
        )

    async def _forget(self) -> None:
        ids = self._some("webhook", 10)
        await self._run("DELETE FROM finances_webhookeventlog WHERE id = ANY(%s)", ids)
        self._ids["webhook"] = [id for id in self._ids["webhook"] if id not in ids]

    async def _enrol(self) -> None:
        self._serial += 1
        await self._run(
            "INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)"
            " VALUES (%s, %s, 'student', true, now())",
            self._random.choice(self._students),
            self._serial,
        )

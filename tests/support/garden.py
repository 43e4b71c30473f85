"""Rows of all payment tables with something planted in every place there is."""

from __future__ import annotations

import string
from collections.abc import Mapping

from relay import jsontext
from tests.support.database import Database
from tests.support.leaks import Plants

__all__ = ["Garden"]


class Garden:
    """Writes to all payment tables, with something planted in every place there is.

    ``readers`` gives for a school, or for none, the roles that see its payments at all. Those in ``bare`` see customers
    and intents unmasked, those in ``alerted`` see fraud alerts.
    """

    def __init__(
        self,
        database: Database,
        plants: Plants,
        readers: Mapping[int | None, frozenset[str]],
        bare: frozenset[str],
        alerted: frozenset[str],
    ) -> None:
        self._database = database
        self._plants = plants
        self._readers = readers
        self._bare = bare
        self._alerted = alerted
        self._school: dict[int, int | None] = {}
        self._payments: dict[int, int] = {}
        #: What the readers of a student's school may see of the student's rows.
        self._of: dict[int, set[str]] = {}

    async def student(self, school: int | None) -> int:
        """A student with an address, a name and all that is nobody's business."""
        put = self._plants.put
        ((user,),) = await self._database.execute(
            "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
            " date_joined) VALUES (%s, %s, %s, %s, true, false, false, now()) RETURNING id",
            put("address", self._bare) + "@example.org",
            put("name", self._bare),
            self._plants.word(12, string.digits),
            put("password"),
        )
        self._school[user], self._of[user] = school, set()
        if school is not None:
            await self._database.execute(
                "INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)"
                " VALUES (%s, %s, 'student', true, now())",
                user,
                school,
            )
        return int(user)

    async def move(self, user: int, school: int) -> None:
        """Another school: what is the student's is that one's to see from now on."""
        self._school[user] = school
        for role in self._readers[school]:
            self._plants.allow(self._of[user], role)
        await self._database.execute(
            "UPDATE accounts_schoolmembership SET school_id = %s WHERE user_id = %s", school, user
        )

    def _scoped(self, user: int, what: str) -> str:
        text = self._plants.put(what, self._readers[self._school[user]])
        self._of[user].add(text)
        return text

    def _intent(self, user: int) -> str:
        head, tail = self._plants.word(16), self._plants.word(8)
        self._plants.put("intent", self._bare, text=head)
        self._plants.put("end of intent", self._readers[self._school[user]], text=tail)
        self._of[user].add(tail)
        return f"pi_{head}{tail}"

    def _metadata(self, user: int) -> str:
        put = self._plants.put
        value = {
            "plan_name": f"{put('plan', self._bare)} {self._plants.dirt()}",
            "student_name": self._plants.random.choice([self._plants.card, self._plants.secret])(),
            "error_message": f"{self._scoped(user, 'error')} {self._plants.dirt()}",
            "student_email": put("address in metadata") + "@example.org",
            put("key"): {put("inner key"): [put("inner value"), self._plants.card()]},
            "card": int(self._plants.card().translate({ord(each): None for each in " -\u00a0"})),
        }
        return jsontext.encode(value).decode()

    async def pay(self, user: int, status: str = "processing") -> int:
        """One payment; of one that has failed the reason is shown, too."""
        ((payment,),) = await self._database.execute(
            "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status,"
            " stripe_payment_intent_id, stripe_customer_id, metadata, created_at, updated_at)"
            " VALUES (%s, 'package', %s, %s, %s, %s, %s, now(), now()) RETURNING id",
            user,
            f"{self._plants.random.randint(100, 99999) / 100:.2f}",
            status,
            self._intent(user),
            self._plants.put("customer of Stripe"),
            self._metadata(user),
        )
        self._payments[payment] = user
        return int(payment)

    async def touch(self, payment: int) -> None:
        """Change a payment in one way or another."""
        random, user = self._plants.random, self._payments[payment]
        changes: dict[str, str] = {
            "payment_status": random.choice(["pending", "completed", "failed", "failed", "cancelled"]),
            "metadata": self._metadata(user),
            "stripe_payment_intent_id": self._intent(user),
            "stripe_customer_id": self._plants.put("customer of Stripe"),
        }
        column = random.choice(sorted(changes))
        await self._database.execute(
            f"UPDATE finances_purchasetransaction SET {column} = %s WHERE id = %s", changes[column], payment
        )

    async def dispute(self, payment: int) -> int:
        """A dispute about a payment."""
        put, user = self._plants.put, self._payments[payment]
        ((number,),) = await self._database.execute(
            "INSERT INTO finances_paymentdispute (stripe_dispute_id, purchase_transaction_id, amount, currency, reason,"
            " status, evidence_details, is_responded, internal_notes, stripe_metadata, created_at, updated_at)"
            " VALUES (%s, %s, 5, 'eur', %s, 'needs_response', %s, false, %s, %s, now(), now()) RETURNING id",
            self._scoped(user, "dispute"),
            payment,
            f"card {self._plants.card()}",
            jsontext.encode({put("evidence key"): put("evidence")}).decode(),
            put("note"),
            jsontext.encode([put("metadata of Stripe")]).decode(),
        )
        return int(number)

    async def alert(self, payment: int) -> int:
        """A fraud alert, and in a second transaction its link to a payment."""
        put = self._plants.put
        ((number,),) = await self._database.execute(
            "INSERT INTO finances_fraudalert (alert_id, severity, status, alert_type, description, target_user_id,"
            " detection_data, risk_score, resolution_notes, actions_taken, assigned_to_id, created_at, updated_at)"
            " VALUES (%s, 'high', 'active', %s, %s, %s, %s, 40, %s, %s, %s, now(), now()) RETURNING id",
            put("alert", self._alerted),
            f"card {self._plants.card()}",
            f"{put('description', self._alerted)} {self._plants.dirt()}",
            self._payments[payment],
            jsontext.encode(
                {put("detection key"): put("detection"), "velocity_count": self._plants.card()}
            ).decode(),
            put("resolution"),
            jsontext.encode([put("action taken")]).decode(),
            await self._colleague(),
        )
        await self._database.execute(
            "INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id)"
            " VALUES (%s, %s)",
            number,
            payment,
        )
        return int(number)

    async def _colleague(self) -> int:
        """Somebody to look into an alert; who, only those see who see everything."""
        ((user,),) = await self._database.execute(
            "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
            " date_joined) VALUES (%s, %s, '', '', true, true, false, now()) RETURNING id",
            self._plants.put("assignee", self._bare) + "@example.org",
            self._plants.put("colleague"),
        )
        return int(user)

    async def webhook(self) -> int:
        """An event of Stripe, with all that Stripe tells."""
        put = self._plants.put
        ((number,),) = await self._database.execute(
            "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, processed_at,"
            " error_message, retry_count, created_at, updated_at)"
            " VALUES (%s, %s, 'failed', %s, now(), %s, 1, now(), now()) RETURNING id",
            put("event", self._bare),
            put("event type", self._bare),
            jsontext.encode({"data": {put("payload key"): put("payload")}}).decode(),
            f"{put('event error', self._bare)} {self._plants.dirt()}",
        )
        return int(number)

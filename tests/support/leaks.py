"""Rows full of what must not leave, and the people who must not get it: the material of the leak test.

Every planted value is unlike any other text, and it is written down who may read it. Whatever anybody is sent is then
searched for all of them. People are named by role; "nobody" is simply an empty set.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay import jsontext
from relay.routing.cards import ISSUERS
from tests.support.database import Database
from tests.support.planted import luhn

__all__ = ["NORTH", "SOUTH", "Garden", "Plants", "leaves"]

#: Schools by ids that no other number is like, for they are never shown either.
NORTH, SOUTH = 7_100_000_001, 7_200_000_002
#: So much of a card number is too much of it.
TELLING = 9
_WORD = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_SEPARATORS = re.compile(r"[\s\-\u00a0\u2007\u2009\u202f\u2010-\u2014]")


def leaves(value: Any) -> Iterator[str]:
    """Every key and every value of a JSON value as text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield str(value)


@dataclass
class _Plant:
    what: str
    text: str
    allowed: set[str]
    card: bool = False

    def shows(self, spread: str, digits: str) -> bool:
        """Whether a frame lets it be seen: as ``spread``, all its text, or ``digits``, the same without separators."""
        if not self.card:
            return self.text in spread
        return self.text[:TELLING] in digits or self.text[-TELLING:] in digits


class Plants:
    """All that was planted so far. ``find`` tells what of it somebody got who may not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._plants: list[_Plant] = []

    def word(self, length: int = 16, alphabet: str = _WORD) -> str:
        """Random text; of this length it occurs once."""
        return "".join(self.random.choices(alphabet, k=length))

    def put(self, what: str, allowed: Collection[str] = (), text: str = "") -> str:
        """Text that only those of ``allowed`` may ever be sent: a random one, or ``text``."""
        plant = _Plant(what, text or f"{what}-{self.word()}", set(allowed))
        self._plants.append(plant)
        return plant.text

    def allow(self, texts: Collection[str], role: str) -> None:
        """From now on ``role`` may read these, too."""
        for plant in self._plants:
            if plant.text in texts:
                plant.allowed.add(role)

    def card(self) -> str:
        """A valid card number as somebody would write it, in groups or not."""
        ranges, lengths = ISSUERS[self.random.choice(sorted(ISSUERS))]
        low, high = self.random.choice(list(ranges))
        prefix = str(self.random.randint(int(low), int(high)))
        length = self.random.choice([each for each in lengths if each >= 14])
        number = luhn(prefix + self.word(length - len(prefix) - 1, string.digits))
        self._plants.append(_Plant("card", number, set(), card=True))
        gap, size = self.random.choice(["", " ", "-", " - ", "\u00a0"]), self.random.choice([4, 5])
        return gap.join(number[place : place + size] for place in range(0, length, size))

    def secret(self) -> str:
        """A secret of one of the kinds that people paste."""
        word = self.word
        kinds = (
            f"sk_live_{word(24)}",
            f"rk_test_{word(24)}",
            f"whsec_{word(32)}",
            f"pi_{word(16)}_secret_{word(16)}",
            f"eyJ{word(20)}.eyJ{word(30)}.{word(30)}",
            f"token {word(40, _HEX)}",
            f"pbkdf2_sha256$600000${word(16)}${word(40)}=",
            f"AKIA{word(16, string.ascii_uppercase + string.digits)}",
            f"-----BEGIN RSA PRIVATE KEY-----\n{word(40)}\n-----END RSA PRIVATE KEY-----",
        )
        text = self.random.choice(kinds)
        # The telling part: a frame that says "token [removed]" has told nothing.
        for part in re.findall(r"[A-Za-z0-9]{16,}", text):
            self.put("secret", text=part)
        return text

    def dirt(self) -> str:
        """A sentence with a card number, a secret or both in it."""
        parts = [self.random.choice([self.card, self.secret])() for _ in range(self.random.choice([1, 1, 2]))]
        return f"Customer wrote: {' and '.join(parts)}, please help"

    def find(self, role: str, frames: Iterable[Any]) -> list[tuple[str, Any]]:
        """What was planted and not for ``role``, and shows in ``frames``: what it is, and the frame."""
        wrong = [plant for plant in self._plants if role not in plant.allowed]
        found = []
        for frame in frames:
            spread = "\n".join(leaves(frame))
            digits = _SEPARATORS.sub("", spread.replace("\n", ";"))
            found += [(plant.what, frame) for plant in wrong if plant.shows(spread, digits)]
        return found

    def seen(self, role: str, frames: Iterable[Any]) -> set[str]:
        """The kinds of planted things for ``role`` that did show: so that a test knows that it looked."""
        spread = "\n".join(text for frame in frames for text in leaves(frame))
        return {plant.what for plant in self._plants if role in plant.allowed and plant.text in spread}


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

    async def pay(self, user: int) -> int:
        """One payment."""
        ((payment,),) = await self._database.execute(
            "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status,"
            " stripe_payment_intent_id, stripe_customer_id, metadata, created_at, updated_at)"
            " VALUES (%s, 'package', %s, %s, %s, %s, %s, now(), now()) RETURNING id",
            user,
            f"{self._plants.random.randint(100, 99999) / 100:.2f}",
            self._plants.random.choice(["processing", "failed"]),
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

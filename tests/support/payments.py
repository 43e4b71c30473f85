"""Writes to the sample payment tables, one statement each, as the backend would make them."""

from __future__ import annotations

from typing import Any

from tests.support.database import Database

__all__ = ["enrol", "move", "pay", "student"]


async def student(database: Database, email: str = "ben@example.com", *, school: int | None = None) -> int:
    """A student, active in ``school`` if there is one; the id."""
    ((user,),) = await database.execute(
        "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
        " date_joined) VALUES (%s, 'Ben', '', '', true, false, false, now()) RETURNING id",
        email,
    )
    if school is not None:
        await enrol(database, user, school)
    return int(user)


async def enrol(database: Database, user: int, school: int) -> None:
    """Make ``user`` an active student of ``school``."""
    await database.execute(
        "INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)"
        " VALUES (%s, %s, 'student', true, now())",
        user,
        school,
    )


async def pay(
    database: Database, user: int, amount: str = "12.50", status: str = "pending", **columns: Any
) -> int:
    """One payment; the id."""
    given = {"metadata": "{}", **columns}
    names = "".join(f", {name}" for name in given)
    values = ", %s" * len(given)
    ((payment,),) = await database.execute(
        "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, created_at,"
        f" updated_at{names}) VALUES (%s, 'package', %s, %s, now(), now(){values}) RETURNING id",
        user,
        amount,
        status,
        *given.values(),
    )
    return int(payment)


async def move(database: Database, payment: int, status: str) -> None:
    """Give a payment another status."""
    await database.execute(
        "UPDATE finances_purchasetransaction SET payment_status = %s WHERE id = %s", status, payment
    )

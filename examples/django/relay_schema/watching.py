"""One operation for migrations: which columns of a table the relay may see."""

from django.db import migrations

WATCH = "SELECT relay.watch(%s::regclass, %s)"
UNWATCH = "SELECT relay.unwatch(%s::regclass)"


def watch(table: str, columns: str, *, before: str = "") -> migrations.RunSQL:
    """Capture these columns of a table from now on, and no others.

    Undone by going back to the columns of ``before``, or by capturing nothing of the table if there were none.
    """
    name = f"public.{table}"
    return migrations.RunSQL(
        sql=[(WATCH, [name, columns.split()])],
        reverse_sql=[(WATCH, [name, before.split()]) if before else (UNWATCH, [name])],
    )

"""Schema relay: the numbered files of the relay's sql directory, as they are.

They are not copied into this file, so that the DBA and Django run the same text. A later version of the relay that
says so in its changelog gets a further migration with the same `install()`: the files may be run again at any time and
then bring what is there up to date. Freeze them by copying the directory into your project, beside this file.
"""

from pathlib import Path

from django.conf import settings
from django.db import migrations


def install() -> list[migrations.RunSQL]:
    """One operation for each file, in order; undone by the relay's own uninstall.sql."""
    directory: Path = settings.RELAY_SQL_DIRECTORY
    files = sorted(directory.glob("[0-9]*.sql"))
    if not files:
        raise FileNotFoundError(
            f"{directory} has no numbered .sql files; RELAY_SQL_DIRECTORY names the relay's sql/"
        )
    # Undoing goes from last to first, so the first one removes everything when its turn comes.
    undo = [(directory / "uninstall.sql").read_text(), *[migrations.RunSQL.noop] * (len(files) - 1)]
    return [
        migrations.RunSQL(file.read_text(), reverse_sql=back) for file, back in zip(files, undo, strict=True)
    ]


class Migration(migrations.Migration):
    """In one transaction: no table of yours is touched or locked."""

    dependencies = []
    operations = install()

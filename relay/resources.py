"""Finds the files that travel with the code: the SQL and the web pages."""

from pathlib import Path

__all__ = ["sql_directory", "web_directory"]

_PACKAGE = Path(__file__).resolve().parent


def sql_directory() -> Path:
    """The directory with the numbered `.sql` files.

    In a checkout or an editable install that is `sql/` beside the package, so that what is edited is what is
    installed; in a wheel it is `relay/_sql`, where the build put a copy.
    """
    # The checkout is recognised by its pyproject.toml: a stray `sql` directory in site-packages is not ours.
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "sql").is_dir():
        return checkout / "sql"
    return _existing(_PACKAGE / "_sql")


def web_directory() -> Path:
    """The directory with the client and dashboard files that the server hands out."""
    return _existing(_PACKAGE / "web")


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory} is missing: this installation is incomplete; reinstall payment-relay"
        )
    return directory

"""Finds the files that travel with the code: the SQL, the web pages, the presets, the example of a config."""

from pathlib import Path

__all__ = ["example_config", "presets_directory", "sql_directory", "web_directory"]

_PACKAGE = Path(__file__).resolve().parent


def sql_directory() -> Path:
    """The directory with the numbered `.sql` files.

    In a checkout or an editable install that is `sql/` beside the package, so that what is edited is what is
    installed; in a wheel it is `relay/_sql`, where the build put a copy.
    """
    return _travelling("sql", "_sql")


def example_config() -> str:
    """The text of config.example.toml: every setting with its default, and channels that work as they stand."""
    return _travelling("config.example.toml", "_config.example.toml").read_text(encoding="utf-8")


def presets_directory() -> Path:
    """The directory with the presets, one TOML file each."""
    return _existing(_PACKAGE / "presets")


def web_directory() -> Path:
    """The directory with the client and dashboard files that the server hands out."""
    return _existing(_PACKAGE / "web")


def _travelling(beside: str, inside: str) -> Path:
    """What lies ``beside`` the package in a checkout and ``inside`` it in a wheel."""
    # The checkout is recognised by its pyproject.toml: a stray `sql` directory in site-packages is not ours.
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / beside).exists():
        return checkout / beside
    return _existing(_PACKAGE / inside)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: this installation is incomplete; reinstall payment-relay"
        )
    return path

"""Where the SQL and the web files are found."""

from pathlib import Path

import pytest

from relay import resources


def installation(root: Path, *directories: str) -> Path:
    """A package directory below ``root`` and the directories named beside or in it."""
    for name in ("relay", *directories):
        (root / name).mkdir(parents=True, exist_ok=True)
    return root / "relay"


def test_a_checkout_uses_the_sql_that_is_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a pyproject.toml the directory sql/ counts, even if a copy lies in the package."""
    monkeypatch.setattr(resources, "_PACKAGE", installation(tmp_path, "sql", "relay/_sql"))
    (tmp_path / "pyproject.toml").touch()
    assert resources.sql_directory() == tmp_path / "sql"


def test_a_wheel_uses_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory sql/ of somebody else's in site-packages is not taken for ours."""
    monkeypatch.setattr(resources, "_PACKAGE", installation(tmp_path, "sql", "relay/_sql", "relay/web"))
    assert resources.sql_directory() == tmp_path / "relay" / "_sql"
    assert resources.web_directory() == tmp_path / "relay" / "web"
    (tmp_path / "relay" / "_config.example.toml").write_text("# ours")
    (tmp_path / "config.example.toml").write_text("# somebody else's")
    assert resources.example_config() == "# ours"


def test_an_incomplete_installation_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing directory is told with its path and what to do."""
    monkeypatch.setattr(resources, "_PACKAGE", installation(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"relay/web is missing.*reinstall"):
        resources.web_directory()
    with pytest.raises(FileNotFoundError, match=r"relay/_sql is missing.*reinstall"):
        resources.sql_directory()


def test_this_installation_is_complete() -> None:
    """The installation under test has the SQL, the web files and the example."""
    assert "[database]" in resources.example_config()
    assert list(resources.sql_directory().glob("demo/*.sql"))
    assert resources.web_directory().is_dir()

"""The distribution: what `pip install payment-relay` gives is a whole installation."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from relay import __version__

CHECKOUT = Path(__file__).parents[2]

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as somebody would who has no checkout; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, CHECKOUT, cwd=out)
    return out


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a fresh environment into which only the wheel and its demo extra were installed."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", home / "venv", cwd=home)
    (wheel,) = distributions.glob("*.whl")
    pip = (home / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--constraint", CHECKOUT / "constraints.txt", f"{wheel}[demo]", cwd=home)
    return home / "venv" / "bin"


def test_the_wheel_holds_every_file_of_sql_and_web(distributions: Path) -> None:
    """Each file of sql/ and relay/web/ is in the wheel, and no test is."""
    (path,) = distributions.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    sql = {f"relay/_sql/{file.relative_to(CHECKOUT / 'sql')}" for file in files(CHECKOUT / "sql")}
    web = {str(file.relative_to(CHECKOUT)) for file in files(CHECKOUT / "relay" / "web")}
    assert sql | web <= names
    assert {"relay/py.typed", "relay/demo/config.toml", "relay/presets/payments.toml"} <= names
    assert [name for name in names if name.startswith("tests")] == []


def test_the_source_distribution_holds_what_it_takes_to_test_it(distributions: Path) -> None:
    """Tests, Makefile and the exact versions travel with the sources."""
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "tests/conftest.py", "sql/demo/payments.sql", "README.md"} <= names


def test_the_installed_program_says_its_version(installed: Path, tmp_path: Path) -> None:
    """`relay --version` and `python -m relay --version` name the version."""
    assert __version__ in run(installed / "relay", "--version", cwd=tmp_path)
    assert __version__ in run(installed / "python", "-m", "relay", "--version", cwd=tmp_path)


def test_the_installed_program_finds_its_sql_and_web_files(installed: Path, tmp_path: Path) -> None:
    """Far from any checkout the SQL and the web files are found inside the installation."""
    program = (
        "import json; from relay.resources import sql_directory, web_directory\n"
        "print(json.dumps([str(sql_directory()), str(web_directory()),"
        " sorted(path.name for path in sql_directory().glob('[0-9]*.sql'))]))"
    )
    sql, web, numbered = json.loads(run(installed / "python", "-c", program, cwd=tmp_path))
    assert "site-packages" in sql
    assert "site-packages" in web
    assert numbered == sorted(path.name for path in (CHECKOUT / "sql").glob("[0-9]*.sql"))


def test_the_installed_program_can_begin_a_config(installed: Path, tmp_path: Path) -> None:
    """What a missing config advises works without a checkout: the example is the one of the sources."""
    example = run(installed / "relay", "install", "--example-config", cwd=tmp_path)
    assert example == (CHECKOUT / "config.example.toml").read_text()


def test_the_installed_program_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    """The wheel alone brings up the whole system: its page is served, and Ctrl-C ends it."""
    with subprocess.Popen(
        [installed / "relay", "demo", "--json"], cwd=tmp_path, stdout=subprocess.PIPE
    ) as demo:
        try:
            assert demo.stdout is not None
            line = json.loads(demo.stdout.readline())
            with urllib.request.urlopen(line["http"]) as page:
                assert b"<!doctype html>" in page.read().lower()
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait() == 0


def files(directory: Path) -> list[Path]:
    """Every file below a directory, but not what Python left there."""
    return [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".pyc"]

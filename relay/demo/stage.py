"""Sets the stage for the demo: payment tables with a past, schema relay, settings, a fresh secret, tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from relay.capture.admin import Administrator
from relay.capture.install_plan import make_plan
from relay.capture.schema import SCHEMA_VERSION
from relay.config import Settings, load
from relay.demo.ports import free_port
from relay.demo.postgres import Postgres
from relay.gateway.auth import mint
from relay.resources import sql_directory
from relay.routing.needs import needs

__all__ = ["ROLES", "Role", "Stage", "set_stage"]

CONFIG = Path(__file__).with_name("config.toml")
DATABASE = "payments"
TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Role:
    """Somebody who looks at payments."""

    subject: str
    sees: str
    claims: Mapping[str, Any]


ROLES = (
    Role("admin.one@example.org", "everything", {"is_superuser": True}),
    Role(
        "owner.north@example.org",
        "payments and disputes of school 1",
        {"role": "school_owner", "school_ids": [1]},
    ),
)


@dataclass(frozen=True)
class Stage:
    """What the demo runs with. ``dsn`` is the superuser's; ``tokens`` are in the order of :data:`ROLES`."""

    settings: Settings
    dsn: str
    tokens: tuple[str, ...]

    @property
    def http(self) -> str:
        """The address of the dashboard."""
        return f"http://{self.settings.server.host}:{self.settings.server.port}/"

    @property
    def ws(self) -> str:
        """The address for WebSocket clients."""
        server = self.settings.server
        return f"ws://{server.host}:{server.port}{server.paths[0]}"


async def set_stage(server: Postgres, port: int) -> Stage:
    """Prepare ``server`` for the demo on ``port``, or another one if that is taken."""
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        await connection.execute(
            sql.SQL("CREATE ROLE relay_daemon LOGIN PASSWORD {}").format(sql.Literal(server.password))
        )
    dsn = server.dsn(DATABASE)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for name in ("payments.sql", "seed.sql"):
            await connection.execute((sql_directory() / "demo" / name).read_bytes())
    settings = _settings(server, port)
    await _install(settings)
    tokens = tuple(mint(settings.auth, role.subject, TOKEN_SECONDS, role.claims) for role in ROLES)
    return Stage(settings, dsn, tokens)


def _settings(server: Postgres, port: int) -> Settings:
    # Not the caller's environment: a RELAY_DATABASE__DSN in it must not lead the demo to a real database.
    return load(
        CONFIG,
        {
            "RELAY_DATABASE__DSN": server.dsn(DATABASE, "relay_daemon"),
            "RELAY_DATABASE__ADMIN_DSN": server.dsn(DATABASE),
            "RELAY_AUTH__SECRETS": secrets.token_urlsafe(48),
            "RELAY_SERVER__PORT": str(free_port(port)),
            "RELAY_SERVER__OPS_PORT": str(free_port(8766)),
        },
    )


async def _install(settings: Settings) -> None:
    needed = needs(settings)
    database = settings.database
    files = sorted(sql_directory().glob("[0-9]*.sql"))
    async with Administrator.connect(
        database.admin_dsn, "the demo", database.connect_timeout_seconds
    ) as admin:
        survey = await admin.survey(needed, database.dsn)
        for step in make_plan(needed, survey, SCHEMA_VERSION, files):
            await admin.carry_out(step, lambda notice: None)

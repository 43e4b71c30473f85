"""Every setting of the relay, with its default, in one frozen tree that is validated once.

A key that is not declared here is an error. Values come from a TOML file and, over it, from variables named
``RELAY_SECTION__KEY``; :mod:`relay.config_load` reads them. Units are part of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from relay import config_load, config_preset
from relay.config_aggregates import AggregateSettings
from relay.config_auth import AuthSettings
from relay.config_channels import (
    FIELD_TYPES,
    ChannelSettings,
    FieldSettings,
    FieldType,
    LookUpSettings,
    PolicySettings,
)
from relay.config_dashboard import DashboardSettings
from relay.config_kinds import Count, Network, Origin, Port, Seconds, Section, UrlPath, is_word
from relay.config_masks import MaskSettings
from relay.errors import ConfigError, MappingError

__all__ = [
    "FIELD_TYPES",
    "AggregateSettings",
    "AuthSettings",
    "CaptureSettings",
    "ChannelSettings",
    "DashboardSettings",
    "DatabaseSettings",
    "FieldSettings",
    "FieldType",
    "LimitSettings",
    "LogSettings",
    "LookUpSettings",
    "MaskSettings",
    "PolicySettings",
    "ServerSettings",
    "Settings",
    "load",
]


class DatabaseSettings(Section):
    """Where Postgres is. A DSN is a libpq connection string or URL; it may hold a password: not printed."""

    dsn: Annotated[str, Field(min_length=1, repr=False)]
    admin_dsn: Annotated[str, Field(repr=False)] = ""  # for install, uninstall and prune; empty: dsn
    connect_timeout_seconds: Seconds = 5
    poll_deadline_seconds: Seconds = 10
    snapshot_timeout_seconds: Seconds = 5
    count_timeout_seconds: Seconds = 300


class CaptureSettings(Section):
    """How the outbox is read."""

    poll_interval_ms: Count = 3
    idle_after_ms: Count = 250
    safety_poll_seconds: Seconds = 5
    chunk_rows: Count = 1000
    backoff_initial_ms: Count = 100
    backoff_max_seconds: Seconds = 10
    replay_limit: Count = 10000
    ring_events: Count = 10000
    snapshot_scan_limit: Count = 10000
    lookup_cache_entries: Count = 100000
    prune_keep_hours: Seconds = 24
    prune_every_seconds: Seconds = 60

    @model_validator(mode="after")
    def _durations_fit(self) -> CaptureSettings:
        if self.idle_after_ms < self.poll_interval_ms:
            raise ValueError("has idle_after_ms below poll_interval_ms; make it at least as long")
        if self.backoff_max_seconds * 1000 < self.backoff_initial_ms:
            raise ValueError("has backoff_max_seconds below backoff_initial_ms; make it at least as long")
        if self.prune_keep_hours * 3600 < self.prune_every_seconds:
            raise ValueError(
                "has prune_keep_hours shorter than prune_every_seconds; keep longer or prune more often"
            )
        return self


class ServerSettings(Section):
    """Where clients and operators connect."""

    host: str = "127.0.0.1"
    port: Port = 8765  # 0: any free port
    paths: Annotated[tuple[UrlPath, ...], Field(min_length=1)] = ("/ws/payment-monitoring/",)
    origins: tuple[Origin, ...] = ()  # empty: the relay's own host
    tls_certificate: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    ops_host: str = "127.0.0.1"
    ops_port: Port = 8766  # 0: off
    heartbeat_seconds: Seconds = 5
    first_message_seconds: Seconds = 10
    drain_seconds: Seconds = 10

    @model_validator(mode="after")
    def _pairs(self) -> ServerSettings:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError(
                "needs tls_certificate and tls_key together; set both, or neither for plain WebSocket"
            )
        if self.port and self.port == self.ops_port and self.host == self.ops_host:
            raise ValueError(
                f"has port and ops_port both {self.port}; give the operations address its own port"
            )
        return self


class LimitSettings(Section):
    """What one client, or all of them, may cost."""

    connections: Count = 10000
    connections_per_subject: Count = 50
    connects_per_minute_per_subject: Count = 120
    connects_per_minute_per_address: Count = 600
    bad_tokens_per_minute_per_address: Count = 5
    polls_per_subject: Count = 20
    polls_per_minute_per_subject: Count = 600
    polls_per_minute_per_address: Count = 3000
    messages_per_minute: Count = 120
    message_bytes: Count = 65536
    subscriptions_per_connection: Count = 64
    filter_conditions: Count = 32
    filter_in: Count = 100
    buffer_bytes: Annotated[int, Field(ge=4096)] = 1048576
    held_events: Count = 10000
    cursor_bytes: Annotated[int, Field(ge=4096)] = 4096  # the relay itself writes cursors of up to 4096 bytes
    replays_waiting: Count = 64

    @model_validator(mode="after")
    def _cursor_fits(self) -> LimitSettings:
        if self.message_bytes < self.cursor_bytes + 1024:
            least = self.cursor_bytes + 1024
            raise ValueError(
                f"has message_bytes too small for a subscribe with a cursor; make it {least} or more"
            )
        return self


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"  # auto: JSON unless on a terminal


class Settings(Section):
    """The whole tree, as read by :func:`load`."""

    database: DatabaseSettings
    capture: CaptureSettings = CaptureSettings()
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    auth: AuthSettings = AuthSettings()
    masks: MaskSettings = MaskSettings()
    dashboard: DashboardSettings = DashboardSettings()
    logging: LogSettings = LogSettings()
    preset: str = ""  # channels and aggregates to begin with; empty: none
    channels: Mapping[str, ChannelSettings] = {}
    aggregates: Mapping[str, AggregateSettings] = {}
    policies: tuple[PolicySettings, ...] = ()

    _preset: config_preset.Preset | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _policies_name_what_exists(self) -> Settings:
        for name in self.channels:
            if not is_word(name):
                raise ValueError(
                    f'channels."{name}" must be lower-case letters, digits, _ and -; rename the channel'
                )
        for name in self.aggregates:
            if not is_word(name):
                raise ValueError(
                    f'aggregates."{name}" must be lower-case letters, digits, _ and -; rename the aggregate'
                )
            if name in self.channels:
                raise ValueError(
                    f"aggregates.{name} has the name of a channel, and clients could not tell them apart; "
                    "rename one"
                )
        for number, policy in enumerate(self.policies, 1):
            spot = f'policies[{number}] "{policy.name}"'
            for name in policy.channels:
                if name != "*" and name not in self.channels and name not in self.aggregates:
                    raise ValueError(
                        f"{spot} grants channel {name}, which is not declared; add [channels.{name}]"
                    )
            if policy.where and (counted := policy.granted(self.aggregates)):
                raise ValueError(
                    f"{spot} has a where and grants {counted[0]}, an aggregate, which counts everybody's rows "
                    f"and cannot be scoped; do not grant {counted[0]} there"
                )
            for name in policy.granted(self.channels):
                if missing := sorted(set(policy.where) - set(self.channels[name].fields)):
                    raise ValueError(
                        f"{spot} has a where on {missing[0]}, which channel {name} lacks; add the field "
                        f"(hidden = true keeps it from clients) or do not grant {name} there"
                    )
        return self

    @model_validator(mode="after")
    def _events_outlive_outages(self) -> Settings:
        least = 2 * self.server.heartbeat_seconds + self.capture.backoff_max_seconds
        if self.capture.prune_keep_hours * 3600 < least:
            raise ValueError(
                f"capture.prune_keep_hours is shorter than two heartbeats and a reconnect ({least:g} s), "
                "so no cursor could ever be resumed; keep events longer"
            )
        return self

    def require_auth(self) -> None:
        """Refuse to go on without a way to check tokens: no ``[auth]``, no start. Raises ConfigError."""
        if not self.auth.has_keys:
            raise ConfigError(
                "auth has no keys, and nobody is let in without a token; set auth.secrets "
                "(or RELAY_AUTH__SECRETS), auth.secret_files, auth.public_keys or auth.jwks_url"
            )
        self.auth.shared_secrets()

    def blame(self, error: MappingError) -> MappingError:
        """``error``, with the preset's name where what is wrong comes from there."""
        if self._preset is None or not self._preset.behind(str(error)):
            return error
        way_out = "name yours in your config, or take it away with false"
        return MappingError(f"{error} (preset {self._preset.name} has it: {way_out})")

    def mask_key(self) -> bytes | None:
        """The key of masks named ``hash``, None if there is none. Raises ConfigError."""
        return self.masks.key(self.auth.shared_secrets())


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from the file at ``path`` (None: the environment alone) with ``environ`` over it.

    Raises ConfigError: one line with the key as a TOML path, its origin, what is wrong and what to do.
    """
    preset: config_preset.Preset | None = None

    def under(data: dict[str, Any]) -> config_preset.Preset | None:
        nonlocal preset
        preset = config_preset.put_under(data, environ.get("RELAY_PRESET", data.get("preset", "")))
        return preset

    settings = config_load.read(Settings, path, environ, under)
    settings._preset = preset
    return settings

"""TLS as configured, or none because a proxy in front sees to it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from relay.errors import ConfigError

if TYPE_CHECKING:
    from relay.config import ServerSettings

__all__ = ["context", "reload_certificate"]


def context(settings: ServerSettings) -> ssl.SSLContext | None:
    """What the server speaks TLS with; None: plain. Raises ConfigError that names the file."""
    if not settings.tls_certificate:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    reload_certificate(made, settings)
    return made


def reload_certificate(made: ssl.SSLContext, settings: ServerSettings) -> None:
    """Read certificate and key again; connections from now on use them. Raises ConfigError that names the
    file."""
    for name in ("tls_certificate", "tls_key"):
        file = getattr(settings, name)
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"server.{name}: {file} cannot be read ({error.strerror}); check its path and permissions"
            ) from None

    def no_passphrase() -> str:
        # Without this the ssl module would ask on the terminal, and a daemon would hang there.
        raise ConfigError(
            f"server.tls_key: {settings.tls_key} is encrypted; give a key without passphrase that only the relay "
            "can read"
        )

    try:
        made.load_cert_chain(settings.tls_certificate, settings.tls_key, password=no_passphrase)
    except ssl.SSLError as error:
        raise ConfigError(
            f"server.tls_certificate, server.tls_key: {settings.tls_certificate} and {settings.tls_key} are no "
            f"certificate chain and its key in PEM ({error.reason or 'unreadable'}); check that they belong together"
        ) from None

"""What one running relay shares between its connections, gathered once by the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay.capture.source import Capture
from relay.config import Settings
from relay.gateway.auth import Authenticator
from relay.gateway.limits import Limits
from relay.gateway.snapshots import SnapshotDesk
from relay.gateway.tasks import Tasks
from relay.messages.compat import Dialect
from relay.routing.aggregates.rooms import Aggregates
from relay.routing.channel import Channel
from relay.routing.hub import Hub
from relay.routing.policies import Policies
from relay.routing.prepare import Preparer

__all__ = ["Services"]


@dataclass(slots=True)
class Services:
    """The collaborators of a connection.

    A reload (SIGHUP) replaces ``settings``, ``channels``, ``policies``, ``preparer``, ``snapshots``,
    ``dialect`` and ``authenticator`` here, all in one go and without an await in between.
    """

    settings: Settings
    channels: Mapping[str, Channel]
    policies: Policies
    preparer: Preparer
    snapshots: SnapshotDesk
    hub: Hub
    aggregates: Aggregates
    capture: Capture
    authenticator: Authenticator
    limits: Limits
    tasks: Tasks
    dialect: Dialect

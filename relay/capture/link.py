"""The lasting sessions of one relay: listen, read and gate, opened together and agreeing about where they are."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from relay.capture.schema import Identity, identify
from relay.capture.session import Session, fault
from relay.config import DatabaseSettings
from relay.errors import DatabaseUnreachable

__all__ = ["Link", "open_session"]


@dataclass(slots=True)
class Link:
    """Three sessions in one epoch. ``identity`` is as the read session saw it."""

    listen: Session
    read: Session
    gate: Session
    identity: Identity

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> Link:
        """Connect. Any DatabaseError; CaptureDegraded and DatabaseUnreachable are worth another attempt."""
        sessions: list[Session] = []
        try:
            identities = []
            for role in ("listen", "read", "gate"):
                session, identity = await open_session(settings, role)
                sessions.append(session)
                identities.append(identity)
            if len({identity.epoch for identity in identities}) > 1:
                raise DatabaseUnreachable(
                    "the sessions reached different servers (a switchover, or an address with several); trying again"
                )
            listen, read, gate = sessions
            return cls(listen, read, gate, identities[1])
        except BaseException:
            for session in sessions:
                await session.close()
            raise

    def abort(self) -> None:
        """End the listen and read sessions, whatever they are doing."""
        self.listen.abort()
        self.read.abort()

    async def close(self) -> None:
        """Close the listen and read sessions; the gate session belongs to the gate by then."""
        await self.listen.close()
        await self.read.close()


async def open_session(
    settings: DatabaseSettings, role: str, *, spare: float = 0.0
) -> tuple[Session, Identity]:
    """One session that has been looked at. ``spare`` is added to the deadline of its statements."""
    session = await Session.open(
        settings.dsn,
        role,
        connect_timeout=settings.connect_timeout_seconds,
        deadline=settings.poll_deadline_seconds + spare,
    )
    try:
        return session, await identify(session)
    except psycopg.Error as error:
        await session.close()
        raise fault(error, "reading relay.state") from None
    except BaseException:  # also cancelled: nobody else knows of this session yet
        await session.close()
        raise

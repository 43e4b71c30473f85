"""Who comes in: every decision about a connection that is taken before its upgrade, in one place.

The order matters. Cheap refusals come first (Origin, seats, rate per address), so that a loop of
connections costs little; then the token; then what its subject may have. A browser cannot read an HTTP refusal (it sees
close 1006 and tries again for ever), so a token that is no good in a request with an Origin header is let in only to be
told why, until its address has used up the patience of ``bad_tokens_per_minute_per_address``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from relay import metrics
from relay.capture.throttle import Throttle
from relay.errors import TokenRefused
from relay.gateway.handshake import Headers, Proxies, bearer_token, find_token, origin_allowed
from relay.gateway.http import RefusedByHttp
from relay.gateway.limits import Refusal, Seat
from relay.messages.codes import CODES

if TYPE_CHECKING:
    from relay.gateway.auth import Identity
    from relay.gateway.compat import Profile
    from relay.gateway.connection import Connection
    from relay.gateway.services import Services
    from relay.routing.policies import Grants

__all__ = ["Admission", "Door"]

log = structlog.get_logger(__name__)

#: Seconds after which a client whose tokens were refused too often may hope to be told why again.
PATIENCE = 60.0


@dataclass(slots=True)
class Admission:
    """What was decided. Neither identity nor refusal: the first message has to bring the token."""

    address: str
    seat: Seat
    identity: Identity | None = None
    refusal: TokenRefused | None = None
    profile: Profile | None = None

    def claimant(self, identity: Identity) -> str:
        """Whose limits this connection counts against.

        On the paths of old dashboards, which may reconnect in a loop, that is the person on this path: one page that
        has gone wild does not lock its user out of the others.
        """
        return identity.subject if self.profile is None else f"{identity.subject} {self.profile.path}"


class Door:
    """Decides who comes in, by the services' present settings, keys and policies."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._foreign = Throttle()
        self.reloaded()

    def reloaded(self) -> None:
        """The settings were replaced."""
        self._proxies = Proxies(self._services.settings.server.trusted_proxies)

    def enter(self, peer: str, headers: Headers) -> Admission:
        """The part that is decided at once: Origin, and a seat. Raises RefusedByHttp."""
        self.look_at_origin(peer, headers)
        return self._seat(peer, headers, poll=False)

    def enter_poll(self, peer: str, headers: Headers) -> Admission:
        """The same for a request that is answered and over; its Origin has been looked at."""
        return self._seat(peer, headers, poll=True)

    def look_at_origin(self, peer: str, headers: Headers) -> None:
        """Raises RefusedByHttp for a page of somebody else's."""
        host, origins = self._proxies.host(peer, headers), headers.get_all("Origin")
        if not origin_allowed(origins, host, self._services.settings.server.origins):
            # A browser does not show its page why; whoever looks for the reason looks here.
            if (count := self._foreign.due()) is not None:
                log.warning(
                    "origin_refused", origin=", ".join(origins)[:200], count=count, remedy="server.origins"
                )
            raise RefusedByHttp("origin_refused")

    def _seat(self, peer: str, headers: Headers, *, poll: bool) -> Admission:
        address = self._proxies.client(peer, headers)
        seat = self._services.limits.enter(address, time.monotonic(), poll=poll)
        if isinstance(seat, Refusal):
            raise RefusedByHttp(seat.code, retry_after=seat.retry_after)
        return Admission(address, seat)

    async def identify(self, admission: Admission, headers: Headers, query: str) -> None:
        """The part that looks at the token, if there is one. Raises RefusedByHttp; the caller gives the
        seat back."""
        token = find_token(headers, query)
        if token is None:
            return
        try:
            identity = await self.verify(token)
        except TokenRefused as refused:
            self._refuse(admission, refused, is_browser=bool(headers.get_all("Origin")))
            return
        self._claim(admission, identity)

    async def identify_poll(self, admission: Admission, headers: Headers) -> Identity:
        """Who asks, by the one carrier that is no part of an address. Raises RefusedByHttp: anybody can read that."""
        token = bearer_token(headers)
        if token is None:
            raise RefusedByHttp("token_missing", "send the token as Authorization: Bearer …")
        try:
            identity = await self.verify(token)
        except TokenRefused as refused:
            self._refuse(admission, refused, is_browser=False)
            raise
        self._claim(admission, identity)
        return identity

    def _claim(self, admission: Admission, identity: Identity) -> None:
        refusal = admission.seat.claim(admission.claimant(identity), time.monotonic())
        if refusal is not None:
            raise RefusedByHttp(refusal.code, retry_after=refusal.retry_after)
        admission.identity = identity

    def _refuse(self, admission: Admission, refused: TokenRefused, *, is_browser: bool) -> None:
        row = CODES[refused.code]
        if row.http == 503:  # our side's trouble, not the token's
            raise RefusedByHttp(refused.code, str(refused), retry_after=5.0)
        patience = self.has_patience(admission.address)
        if is_browser and patience:
            admission.refusal = refused
            return
        raise RefusedByHttp(refused.code, str(refused), retry_after=None if patience else PATIENCE)

    def has_patience(self, address: str) -> bool:
        """Count a refused token of ``address``; whether the client may still be told by message."""
        return self._services.limits.forgive(address, time.monotonic())

    async def verify(self, token: str) -> Identity:
        """Whom ``token`` speaks for, if some policy grants them anything. Raises TokenRefused."""
        try:
            identity = await self._services.authenticator.verify(token)
            self.grants(identity)
        except TokenRefused as refused:
            metrics.auth_failures_total.labels(refused.code).inc()
            raise
        return identity

    def grants(self, identity: Identity) -> Grants:
        """What ``identity`` may see by today's policies and revocations. Raises TokenRefused.

        Asked again whenever time has passed since the token was verified: a reload or revocation may lie in
        between.
        """
        if self._services.authenticator.revocations.refuses(identity.subject, identity.issued_at):
            raise TokenRefused("token_revoked", CODES["token_revoked"].message)
        grants = self._services.policies.decide(identity.claims)
        if grants is None:
            raise TokenRefused("forbidden", CODES["forbidden"].message)
        return grants

    def grants_or_end(self, connection: Connection) -> Grants | None:
        """What an open connection may see by today's policies and revocations; None: it was told why and
        ended."""
        try:
            return self.grants(connection.identity)
        except TokenRefused as refused:
            connection.fail(refused.code, str(refused))
            return None

"""Decisions before the upgrade, in their order, without a socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from websockets.datastructures import Headers

from relay.errors import TokenRefused
from relay.gateway.admission import Admission, Door
from relay.gateway.auth import Authenticator
from relay.gateway.http import RefusedByHttp
from relay.gateway.limits import Limits
from tests.support.gateway import make_settings, make_token
from tests.support.gateway_fakes import FakePolicies

ORIGIN = ("Origin", "https://relay.example")
HOST = ("Host", "relay.example")


def door(**sections: Any) -> Door:
    """A door with these settings."""
    settings = make_settings(**sections)
    services = SimpleNamespace(
        settings=settings,
        limits=Limits(settings.limits),
        policies=FakePolicies(),
        authenticator=Authenticator(settings.auth),
    )
    return Door(cast(Any, services))


async def admit(at: Door, *headers: tuple[str, str], query: str = "", peer: str = "192.0.2.1") -> Admission:
    """What is decided about a request with these headers."""
    fields = Headers([HOST, *headers])
    admission = at.enter(peer, fields)
    await at.identify(admission, fields, query)
    return admission


def bearer(token: str) -> tuple[str, str]:
    """The header that carries ``token``."""
    return ("Authorization", f"Bearer {token}")


async def test_a_good_token_is_an_identity() -> None:
    """Who brings a good token is known before the upgrade; who brings none may still do so."""
    known = await admit(door(), bearer(make_token()))
    assert known.identity is not None
    assert known.identity.subject == "ada"
    unknown = await admit(door())
    assert (unknown.identity, unknown.refusal) == (None, None)


async def test_the_origin_is_looked_at_before_anything_else() -> None:
    """A foreign page is refused before it costs a seat, an attempt or a signature; the log names it once a minute."""
    at = door(limits={"connections": 1, "connects_per_minute_per_address": 1})
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(RefusedByHttp) as caught:
                await admit(at, ("Origin", "https://evil.example"), bearer(make_token()))
            assert caught.value.code == "origin_refused"
    assert [(line["event"], line["origin"]) for line in lines] == [("origin_refused", "https://evil.example")]
    assert (await admit(at, ORIGIN, bearer(make_token()))).identity is not None


async def test_limits_come_before_the_token() -> None:
    """An address that is over its rate is refused without a look at its token."""
    at = door(limits={"connects_per_minute_per_address": 1})
    await admit(at, bearer(make_token()))
    with pytest.raises(RefusedByHttp) as caught:
        await admit(at, bearer("rubbish"))
    assert caught.value.code == "connecting_too_often"
    assert caught.value.retry_after is not None


@pytest.mark.parametrize("token", [make_token(lives=-5), "rubbish", make_token(channels=[])])
async def test_a_browser_is_let_in_to_be_told(token: str) -> None:
    """With an Origin a token that is no good is told after the upgrade; without one it is refused at once."""
    told = await admit(door(), ORIGIN, bearer(token))
    assert isinstance(told.refusal, TokenRefused)
    assert told.identity is None
    with pytest.raises(RefusedByHttp) as caught:
        await admit(door(), bearer(token))
    assert caught.value.code == told.refusal.code


async def test_patience_is_per_address() -> None:
    """One address that has used up the patience for bad tokens costs no other address its own."""
    at = door(limits={"bad_tokens_per_minute_per_address": 1})
    assert (await admit(at, ORIGIN, bearer("rubbish"))).refusal is not None
    with pytest.raises(RefusedByHttp) as caught:
        await admit(at, ORIGIN, bearer("rubbish"))
    assert caught.value.retry_after is not None
    assert (await admit(at, ORIGIN, bearer("rubbish"), peer="192.0.2.2")).refusal is not None


async def test_a_reload_may_take_everything_away() -> None:
    """What an identity may see is asked again, by the policies of the moment."""
    at = door()
    identity = await at.verify(make_token())
    assert at.grants(identity).channels == {"transactions"}
    at._services.policies.withdrawn = frozenset({"transactions"})  # type: ignore[attr-defined]
    with pytest.raises(TokenRefused) as caught:
        at.grants(identity)
    assert caught.value.code == "forbidden"

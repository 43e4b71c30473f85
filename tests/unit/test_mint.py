"""Tokens for development, as `relay token` and the demo make them."""

import pytest

from relay.config import AuthSettings
from relay.errors import ConfigError, TokenRefused
from relay.gateway.auth import Authenticator, mint

SHARED = AuthSettings.model_validate(
    {"algorithms": ["HS256"], "secrets": ["s" * 32], "issuer": "me", "audience": "relay"}
)


async def test_a_minted_token_is_accepted() -> None:
    """A minted token has every claim that is required, and carries the others along."""
    token = mint(SHARED, "ana", 60, {"role": "school_owner", "school_ids": [1, 2]})
    identity = await Authenticator(SHARED).verify(token)
    assert identity.subject == "ana"
    assert identity.claims["school_ids"] == [1, 2]
    assert identity.expires_at - identity.issued_at == 60


async def test_a_minted_token_expires() -> None:
    """A token lives no longer than asked for, plus the leeway."""
    with pytest.raises(TokenRefused, match="expired"):
        await Authenticator(SHARED).verify(mint(SHARED, "ana", -60, {}))


async def test_registered_claims_cannot_be_forged_by_accident() -> None:
    """Claims that are given do not replace those that make the token valid."""
    identity = await Authenticator(SHARED).verify(mint(SHARED, "ana", 60, {"sub": "eve", "aud": "other"}))
    assert identity.subject == "ana"


def test_without_a_shared_secret_no_token_can_be_minted() -> None:
    """With keys of an identity provider the remedy is to ask that."""
    settings = AuthSettings.model_validate(
        {"algorithms": ["RS256"], "jwks_url": "https://id.example/keys", "audience": "relay"}
    )
    with pytest.raises(ConfigError, match="identity provider"):
        mint(settings, "ana", 60, {})

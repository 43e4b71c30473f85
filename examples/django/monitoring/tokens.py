"""The token that lets somebody see payments live: who gets one, and what it says about them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings

from accounts.models import CustomUser, SchoolMembership

#: Short, because it is a snapshot of rights: who loses theirs keeps what they had until the token expires. The page
#: gets a fresh one before that. For at once there is the action "End live access" in the admin.
LIFETIME = timedelta(minutes=10)

Role = SchoolMembership.Role


def claims_of(user: CustomUser) -> Mapping[str, Any] | None:
    """What the relay's policies have to know about ``user``, or None for those who may see nothing.

    The relay knows no schools and no roles: relay.toml compares these claims with the rows.
    """
    memberships = user.memberships.filter(is_active=True, role__in=[Role.SCHOOL_OWNER, Role.SCHOOL_ADMIN])
    schools = dict(memberships.order_by("school_id", "role").values_list("school_id", "role"))
    if not user.is_active or not (user.is_superuser or schools):
        return None
    claims: dict[str, Any] = {"is_superuser": user.is_superuser, "school_ids": list(schools)}
    if schools:
        # Owners and administrators see the same, so which of them somebody is at which school does not matter.
        owns = Role.SCHOOL_OWNER in schools.values()
        claims["role"] = Role.SCHOOL_OWNER.value if owns else Role.SCHOOL_ADMIN.value
    return claims


def mint(user: CustomUser, claims: Mapping[str, Any], now: datetime) -> tuple[str, datetime]:
    """A token for ``user``, and when it expires."""
    expires_at = now + LIFETIME
    token = jwt.encode(
        {
            **claims,
            "sub": str(user.pk),
            "iss": settings.RELAY_ISSUER,
            "aud": settings.RELAY_AUDIENCE,
            "iat": now,
            "exp": expires_at,
        },
        settings.RELAY_SECRET,
        algorithm="HS256",
    )
    return token, expires_at

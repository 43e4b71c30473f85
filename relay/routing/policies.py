"""Policies: from a token's claims to channels, scopes and masks. Deny by default.

The first policy whose ``when`` matches decides, and the others are not looked at. Types count: ``true``, ``1`` and
``"1"`` are three different claims. A scope that needs a claim the token lacks, or has in another type than the field,
grants nothing on that channel.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from relay.config import PolicySettings
from relay.errors import ConfigError
from relay.messages.fields import FieldType
from relay.routing.channel import Channel
from relay.routing.conditions import SCOPE_OPERATORS, condition, terms
from relay.routing.filters import Filter
from relay.routing.masking import Masker
from relay.routing.projection import Projection
from relay.routing.view import UNSCOPED, Scope, View

__all__ = ["Considered", "Grants", "Policies", "compile_policies"]

_CLAIM = re.compile(r"\$claims\.([^\s.]+(?:\.[^\s.]+)*)")
#: Lists in scopes come from the configuration and from signed tokens, not from clients; this bounds a mistake only.
_LONGEST_LIST: Final = 10_000
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Grants:
    """What one token may see: its channels, each with its scope and, where a mask is on it, its projection.

    ``policy`` is the name of the policy that decided.
    """

    policy: str
    scopes: Mapping[str, Scope]
    masked: Mapping[str, Projection] = field(default_factory=dict)

    @property
    def channels(self) -> frozenset[str]:
        """The channels this token may subscribe to."""
        return frozenset(self.scopes)

    @property
    def where(self) -> bool:
        """Whether any of them is seen through a scope."""
        return any(scope.conditions for scope in self.scopes.values())

    def scope(self, channel: str) -> Scope:
        """The scope of a granted channel. Raises KeyError for any other."""
        return self.scopes[channel]

    def projection(self, channel: Channel) -> Projection:
        """What is shown of a granted channel. Raises KeyError for any other."""
        self.scopes[channel.name]
        return self.masked.get(channel.name, channel.projection)

    def view(self, channel: Channel, wanted: Filter) -> View:
        """A granted channel through a filter. Raises KeyError for any other."""
        return View(channel, wanted, self.scopes[channel.name], self.projection(channel))


@dataclass(frozen=True, slots=True)
class _Term:
    """One condition of a ``where`` as it stands in the configuration: ``raw`` may refer to a claim."""

    field: str
    op: str
    raw: Any


@dataclass(frozen=True, slots=True)
class _Policy:
    name: str
    when: Mapping[str, Any]
    channels: tuple[Channel, ...]
    where: tuple[_Term, ...]
    masked: Mapping[str, Projection]
    aggregates: tuple[str, ...]

    def unmet(self, claims: Mapping[str, Any]) -> str | None:
        """The first claim that keeps the policy from matching; None: it matches."""
        met = (_meets(claims.get(claim, _ABSENT), wanted) for claim, wanted in self.when.items())
        return next((claim for claim, is_met in zip(self.when, met, strict=True) if not is_met), None)

    def scope(self, channel: Channel, claims: Mapping[str, Any]) -> Scope | str:
        """The scope of a channel, or why the token gets none."""
        conditions = []
        for term in self.where:
            kind = channel.fields[term.field].kind
            try:
                raw = _substitute(term.raw, claims)
                conditions.append(condition(term.field, term.op, _fitting(raw, kind), kind, _LONGEST_LIST))
            except ValueError as expected:
                return f"where.{term.field}: {term.op} with {term.raw} expects {expected}"
        return Scope(tuple(conditions))


@dataclass(frozen=True, slots=True)
class Considered:
    """One policy held against a token. ``unmet`` is the claim that keeps it from matching, None if it matches.

    ``lost`` says of channels that a policy that matches would grant why this token does not get them.
    """

    policy: str
    unmet: str | None
    lost: Mapping[str, str]


class Policies:
    """All policies, in order. Made by :func:`compile_policies`."""

    def __init__(self, policies: Sequence[_Policy]) -> None:
        self._policies = tuple(policies)

    def decide(self, claims: Mapping[str, Any]) -> Grants | None:
        """What a token with these claims may see; None if no policy matches or the one that does grants nothing."""
        for policy in self._policies:
            if policy.unmet(claims) is None:
                scopes = {each.name: policy.scope(each, claims) for each in policy.channels}
                granted = {name: scope for name, scope in scopes.items() if isinstance(scope, Scope)}
                granted |= dict.fromkeys(policy.aggregates, UNSCOPED)
                return Grants(policy.name, granted, policy.masked) if granted else None
        return None

    def consider(self, claims: Mapping[str, Any]) -> Iterator[Considered]:
        """How :meth:`decide` comes to its answer: each policy up to the one that decides."""
        for policy in self._policies:
            unmet = policy.unmet(claims)
            scopes = {each.name: policy.scope(each, claims) for each in policy.channels}
            lost = {name: why for name, why in scopes.items() if isinstance(why, str)}
            yield Considered(policy.name, unmet, lost if unmet is None else {})
            if unmet is None:
                return


def compile_policies(
    settings: Sequence[PolicySettings],
    channels: Mapping[str, Channel],
    hash_key: bytes | None = None,
    aggregates: Collection[str] = (),
) -> Policies:
    """The policies of the configuration over the compiled channels. ``hash_key`` is for masks named ``hash``.

    ``aggregates`` names channels whose numbers are of everybody's rows: a policy with a ``where`` cannot grant one.
    Raises ConfigError naming policy, channel or field, and the remedy.
    """
    masker = Masker(hash_key)
    return Policies([_compile(each, channels, masker, aggregates) for each in settings])


def _compile(
    settings: PolicySettings, channels: Mapping[str, Channel], masker: Masker, aggregates: Collection[str]
) -> _Policy:
    spot = f'policy "{settings.name}"'
    counted = settings.granted(aggregates)
    if counted and settings.where:
        raise ConfigError(
            f"{spot} has a where and grants {counted[0]}, an aggregate, which counts everybody's rows and cannot be "
            f"scoped; do not grant {counted[0]} there"
        )
    for name in settings.channels:
        if name != "*" and name not in channels and name not in aggregates:
            raise ConfigError(f"{spot} grants channel {name}, which is not declared; add [channels.{name}]")
    granted = tuple(
        each for name, each in channels.items() if "*" in settings.channels or name in settings.channels
    )
    where = []
    for name, spec in settings.where.items():
        try:
            asked = list(terms(spec))
        except ValueError:
            raise ConfigError(f"{spot}: where.{name} is empty; name an operator, for instance eq") from None
        for op, raw in asked:
            if op not in SCOPE_OPERATORS:
                raise ConfigError(
                    f"{spot}: where.{name} has no operator {op}; use one of {', '.join(SCOPE_OPERATORS)}"
                )
            where.append(_Term(name, op, raw))
    for channel in granted:
        for term in where:
            _check(spot, channel, term)
    masked = masker.projections(spot, granted, settings.mask)
    return _Policy(settings.name, dict(settings.when), granted, tuple(where), masked, counted)


def _check(spot: str, channel: Channel, term: _Term) -> None:
    shown = channel.fields.get(term.field)
    if shown is None:
        raise ConfigError(
            f"{spot} has a where on {term.field}, which channel {channel.name} lacks; add the field "
            f"(hidden = true keeps it from clients) or do not grant {channel.name} there"
        )
    if isinstance(term.raw, str) and term.raw.startswith("$"):
        if _CLAIM.fullmatch(term.raw) is None:
            raise ConfigError(
                f'{spot}: where.{term.field} has "{term.raw}", which is no claim; write "$claims.name"'
            )
        return
    try:
        condition(term.field, term.op, _fitting(term.raw, shown.kind), shown.kind, _LONGEST_LIST)
    except ValueError as expected:
        raise ConfigError(f"{spot}: where.{term.field}: {term.op} expects {expected}") from None


def _meets(claim: Any, wanted: Any) -> bool:
    values = wanted if isinstance(wanted, list | tuple) else (wanted,)
    return any(type(claim) is type(value) and claim == value for value in values)


def _substitute(raw: Any, claims: Mapping[str, Any]) -> Any:
    """``raw``, or the claim it stands for. Raises ValueError where the token has no such claim, or has it as null."""
    if not (isinstance(raw, str) and raw.startswith("$")):
        return raw
    value: Any = claims
    for part in raw.removeprefix("$claims.").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise ValueError("a claim that the token has")
    return value


def _fitting(raw: Any, kind: FieldType) -> Any:
    # Ids are integers in tokens and often strings in channels. A client's filter gets no such help: it can be told.
    if kind.name == "string" and isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if kind.name == "string" and isinstance(raw, list | tuple):
        return [_fitting(each, kind) for each in raw]
    return raw

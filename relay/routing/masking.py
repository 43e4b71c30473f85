"""The masks of policies, checked against the channels they grant and put over what those show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from relay.config_masks import MaskName
from relay.errors import ConfigError
from relay.routing.channel import Channel
from relay.routing.declared import Field
from relay.routing.masks import accepts, key_mark, make_mask
from relay.routing.projection import MaskedProjection, Projection

__all__ = ["Masker"]


class Masker:
    """Makes projections with masks. Policies that mask a channel alike share one, and with it encoded messages."""

    def __init__(self, hash_key: bytes | None = None) -> None:
        self._hash_key = hash_key
        self._mark = key_mark(hash_key) if hash_key is not None else ""
        self._made: dict[tuple[str, str], Projection] = {}

    def projections(
        self, spot: str, granted: Sequence[Channel], masks: Mapping[str, MaskName]
    ) -> dict[str, Projection]:
        """The masked projections of ``granted`` channels, by name; a channel that shows none of the fields has none.

        A channel may lack a masked field, for what is not there needs no mask. That all of them lack it is a mistake:
        a misspelled mask would leave the field it was meant for bare. Raises ConfigError naming ``spot``, the field
        and the remedy.
        """
        for name in masks:
            if not any(name in each.visible for each in granted):
                hidden = any(name in each.fields for each in granted)
                what = "is hidden and never sent" if hidden else "no channel it grants has"
                raise ConfigError(f"{spot} masks {name}, which {what}; correct the name or remove the mask")
        found = {}
        for channel in granted:
            here = {name: mask for name, mask in masks.items() if name in channel.visible}
            for name, mask in here.items():
                self._check(spot, channel, name, mask)
                if (bare := _same_shown(channel, name, here)) is not None:
                    raise ConfigError(
                        f"{spot} masks {name}, and {bare} of channel {channel.name} shows the same value bare; mask "
                        f"{bare}, too"
                    )
            if here:
                found[channel.name] = self._projection(channel, here)
        return found

    def _check(self, spot: str, channel: Channel, name: str, mask: MaskName) -> None:
        if name in channel.naming:
            raise ConfigError(
                f"{spot} masks {name}, by which clients of channel {channel.name} tell rows apart; leave it bare"
            )
        kind = channel.fields[name].kind
        if not accepts(mask, kind):
            raise ConfigError(
                f"{spot} masks {name} of channel {channel.name} with {mask}, which is not for fields of type "
                f"{kind.name}; use redact or drop"
            )
        if mask == "hash" and self._hash_key is None:
            raise ConfigError(
                f"{spot} masks {name} with hash, which needs a key; set masks.hash_key (or RELAY_MASKS__HASH_KEY) "
                "to the output of: openssl rand -base64 48"
            )

    def _projection(self, channel: Channel, names: Mapping[str, MaskName]) -> Projection:
        masks = {name: make_mask(mask, self._hash_key) for name, mask in names.items()}
        made = MaskedProjection(channel.visible, channel.projection.status, masks, names, self._mark)
        return self._made.setdefault((channel.name, made.canonical), made)


def _same_shown(channel: Channel, name: str, masked: Collection[str]) -> str | None:
    """A field that shows what ``name`` does, under another name or in other words, and is not ``masked``."""
    origin = _origin(channel.fields[name])
    same = [
        each for each in channel.visible if each not in masked and _origin(channel.fields[each]) == origin
    ]
    return same[0] if same and origin else None


def _origin(field: Field) -> tuple[str, ...]:
    # Of an object two fields may well show different parts.
    if field.key or field.keys:
        return ()
    return (field.lookup, field.lookup_column) if field.lookup else (field.column,) if field.column else ()

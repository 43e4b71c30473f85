"""Masks of policies: start-up errors, and what people under them see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relay.config import PolicySettings, load
from relay.config_masks import MaskSettings
from relay.errors import ConfigError, FilterRefused
from relay.routing import filters
from relay.routing.channel import Channel
from relay.routing.filters import EVERYTHING
from relay.routing.policies import Grants, compile_policies
from tests.support.routing import LIMITS, channel

KEY = b"a key that masks are tested with, 32+"
FIELDS: dict[str, Any] = {
    "id": {"column": "id", "type": "string"},
    "amount": {"column": "amount", "type": "decimal"},
    "status": {"column": "status"},
    "email": {"column": "note"},
    "meta": {"column": "meta", "type": "json"},
    "school_ids": {"lookup": "tenant.school_ids", "type": "json", "hidden": True},
}
PAYMENTS = channel(fields=FIELDS)
EVENTS = channel("events", status="", lookups={}, fields={"id": {"column": "id"}, "paid": {"column": "paid"}})
CHANNELS = {"payments": PAYMENTS, "events": EVENTS}


def granted(*masks: dict[str, str], key: bytes | None = KEY, **more: Any) -> list[Grants]:
    """What policies with these masks grant, one for each claim n."""
    declared = [
        {"name": f"p{n}", "when": {"n": n}, "channels": ["*"], "mask": mask, **more}
        for n, mask in enumerate(masks)
    ]
    policies = compile_policies([PolicySettings.model_validate(each) for each in declared], CHANNELS, key)
    found = [policies.decide({"n": n}) for n in range(len(masks))]
    return [each for each in found if each is not None]


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ({"emial": "email"}, "masks emial, which no channel it grants has"),
        ({"school_ids": "drop"}, "masks school_ids, which is hidden and never sent"),
        ({"id": "hash"}, "masks id, by which clients of channel payments tell rows apart"),
        (
            {"amount": "last4"},
            "masks amount of channel payments with last4, which is not for fields of type decimal",
        ),
        (
            {"meta": "email"},
            "masks meta of channel payments with email, which is not for fields of type json",
        ),
        ({"paid": "hash"}, "masks paid of channel events with hash, which is not for fields of type boolean"),
    ],
)
def test_a_mask_that_cannot_work_stops_the_start(mask: dict[str, str], said: str) -> None:
    """The error names policy, channel and field, in one line with the remedy."""
    with pytest.raises(ConfigError) as wrong:
        granted(mask)
    assert f'policy "p0" {said}' in str(wrong.value)
    assert ";" in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_what_is_masked_is_masked_under_every_name() -> None:
    """Two fields of one column are masked together or not at all; parts of a JSON column are told apart."""
    fields = {
        "id": {"column": "id", "type": "string"},
        "status": {"column": "status"},
        "label": {"column": "status", "map": {"failed": "Failed"}},
        "plan": {"column": "meta", "key": "plan", "type": "string"},
        "meta": {"column": "meta", "keys": ["name"]},
        "one": {"lookup": "tenant.school_ids", "type": "json"},
        "two": {"lookup": "tenant.school_ids", "type": "json", "hidden": True},
    }
    channels = {"payments": channel(fields=fields)}

    def masked(**mask: str) -> Grants | None:
        declared = {"name": "p", "when": {}, "channels": ["*"], "mask": mask}
        return compile_policies([PolicySettings.model_validate(declared)], channels, KEY).decide({})

    for mask in ({"status": "drop"}, {"label": "redact"}):
        with pytest.raises(ConfigError, match="of channel payments shows the same value bare; mask"):
            masked(**mask)
    assert masked(status="drop", label="redact", meta="redact", one="drop") is not None


def test_hash_does_not_start_without_its_key() -> None:
    """A keyless hash could be undone by trying values, so there is none."""
    with pytest.raises(ConfigError, match=r"masks email with hash, which needs a key; set masks\.hash_key"):
        granted({"email": "hash"}, key=None)


def test_an_unknown_mask_is_an_error_of_the_config() -> None:
    """The names of masks are checked where the file is read."""
    with pytest.raises(ValidationError):
        PolicySettings.model_validate({"name": "p", "when": {}, "channels": ["*"], "mask": {"email": "blur"}})


def test_a_channel_may_lack_what_others_mask() -> None:
    """One mask serves several channels: where the field is not, there is nothing to mask."""
    (grants,) = granted({"email": "email"})
    assert grants.projection(EVENTS) is EVENTS.projection
    assert grants.projection(PAYMENTS) is not PAYMENTS.projection


def test_equal_masks_are_one_projection() -> None:
    """Policies that mask a channel alike share what is encoded; any difference is another view."""
    one, other, less, none = granted(
        {"email": "email", "meta": "drop"}, {"meta": "drop", "email": "email"}, {"email": "email"}, {}
    )
    assert one.projection(PAYMENTS) is other.projection(PAYMENTS)
    hashes = [each.view(PAYMENTS, EVERYTHING).hash for each in (one, less, none)]
    assert len(set(hashes)) == 3
    assert one.view(PAYMENTS, EVERYTHING) == other.view(PAYMENTS, EVERYTHING)


def test_another_key_is_another_view() -> None:
    """Who has seen hashes under one key does not go on under another; other masks do not mind the key."""
    old, new = granted({"email": "hash"})[0], granted({"email": "hash"}, key=KEY[::-1])[0]
    assert old.view(PAYMENTS, EVERYTHING) != new.view(PAYMENTS, EVERYTHING)
    old, new = granted({"email": "email"})[0], granted({"email": "email"}, key=None)[0]
    assert old.view(PAYMENTS, EVERYTHING) == new.view(PAYMENTS, EVERYTHING)


def refusal(of: Channel, grants: Grants, name: str) -> str:
    """The words with which a filter on a field is refused."""
    fields = grants.projection(of).filterable
    with pytest.raises(FilterRefused) as refused:
        filters.parse({name: "x"}, fields, LIMITS)
    return str(refused.value)


def test_a_filter_cannot_tell_masked_from_unknown() -> None:
    """Masked, dropped, hidden and unknown fields are refused in the same words, and none of them is offered."""
    (grants,) = granted({"email": "email", "meta": "drop"})
    unknown = refusal(PAYMENTS, grants, "nothing")
    for name in ("email", "meta", "school_ids"):
        assert refusal(PAYMENTS, grants, name) == unknown.replace("nothing", name)
    assert unknown.endswith("use one of id, amount, status")


def test_a_scope_works_on_what_is_masked() -> None:
    """A where may name a field that the same policy masks or drops: it compares the raw value."""
    (grants,) = granted({"email": "drop"}, channels=["payments"], where={"email": "ben@example.com"})
    row = dict.fromkeys(PAYMENTS.fields) | {"id": "1", "email": "ben@example.com"}
    view = grants.view(PAYMENTS, EVERYTHING)
    assert view.allows(row)
    assert not view.allows(row | {"email": "ann@example.com"})
    assert "email" not in view.projection.wire(row)


def test_what_is_not_granted_has_no_view() -> None:
    """A channel outside the grants is a KeyError, masked or not."""
    (grants,) = granted({}, channels=["events"])
    for ask in (grants.projection, lambda of: grants.view(of, EVERYTHING)):
        with pytest.raises(KeyError):
            ask(PAYMENTS)


# The key of hash


def test_the_key_comes_from_the_setting_or_a_file(tmp_path: Path) -> None:
    """One of both, of 32 bytes at least; a newline at the end of the file is not part of it."""
    assert MaskSettings().key() is None
    assert MaskSettings(hash_key=KEY.decode()).key() == KEY
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\r\n")
    assert MaskSettings(hash_key_file=str(path)).key() == KEY
    assert KEY.decode() not in repr(MaskSettings(hash_key=KEY.decode()))
    with pytest.raises(ValidationError, match="keep one"):
        MaskSettings(hash_key=KEY.decode(), hash_key_file=str(path))


def test_a_key_that_is_no_good_is_refused(tmp_path: Path) -> None:
    """Too short, unreadable, or one of the secrets that tokens are signed with: one line that says what to do."""
    with pytest.raises(ValidationError, match="holds a key of 5 bytes and needs 32"):
        MaskSettings(hash_key="short")
    path = tmp_path / "key"
    path.write_text("short")
    with pytest.raises(ConfigError, match=r"masks\.hash_key_file: .* holds a key of 5 bytes"):
        MaskSettings(hash_key_file=str(path)).key()
    with pytest.raises(ConfigError, match="cannot be read"):
        MaskSettings(hash_key_file=str(tmp_path / "none")).key()
    settings = load(
        None,
        {
            "RELAY_DATABASE__DSN": "host=nowhere",
            "RELAY_AUTH__SECRETS": KEY.decode(),
            "RELAY_AUTH__ALGORITHMS": "HS256",
            "RELAY_AUTH__AUDIENCE": "us",
            "RELAY_MASKS__HASH_KEY": KEY.decode(),
        },
    )
    with pytest.raises(ConfigError, match="is one of the secrets that tokens are signed with"):
        settings.mask_key()

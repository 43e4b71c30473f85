"""The stories behind the demo's traffic."""

from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.demo.stories import Change, Story, alert, dispute, purchase, webhook


def told(story: Story) -> list[Change]:
    """The changes of a story, each answered as if its row had number 7."""
    changes = [next(story)]
    while True:
        try:
            changes.append(story.send((7,)))
        except StopIteration:
            return changes


def values(changes: list[Change], name: str) -> list[Any]:
    """What the statements of a story say for one parameter, in order."""
    return [given[name] for change in changes for _, given in change.statements if name in given]


@given(st.integers())
def test_a_purchase_ends_in_one_of_four_ways(seed: int) -> None:
    """A purchase goes pending, processing, then completed (perhaps refunded), failed or cancelled."""
    path = values(told(purchase(Random(seed), 1)), "status")
    assert path[:2] == ["pending", "processing"]
    assert path[2:] in (["completed"], ["completed", "refunded"], ["failed"], ["cancelled"])


@given(st.integers())
def test_a_webhook_is_processed_or_given_up(seed: int) -> None:
    """Tries of a webhook are counted, and its last state is a final one."""
    path = values(told(webhook(Random(seed), "pi_1", "charge.refunded")), "status")
    assert path[0] == "processing"
    assert set(path[1:-1]) <= {"retrying"}
    assert path[-1] in ("processed", "failed")


@given(st.integers())
def test_an_alert_is_linked_in_a_later_commit(seed: int) -> None:
    """The link between alert and payment is a transaction of its own, after the alert."""
    changes = told(alert(Random(seed), 1, 42))
    assert all(len(change.statements) == 1 for change in changes)
    assert changes[1].statements[0][1] == {"alert": 7, "purchase": 42}
    assert values(changes, "status")[-1] in ("resolved", "false_positive")


@given(st.integers())
def test_a_dispute_is_won_or_lost(seed: int) -> None:
    """A dispute ends."""
    assert values(told(dispute(Random(seed), 1, Decimal(10))), "status")[-1] in ("won", "lost")


@given(st.integers())
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    """A story depends on its seed alone."""
    first, second = (told(purchase(Random(seed), 3)) for _ in range(2))
    assert [(c.after, c.statements) for c in first] == [(c.after, c.statements) for c in second]

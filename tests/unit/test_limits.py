"""Limits let through what they allow, refuse the rest, and forget those who went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config import LimitSettings
from relay.gateway.limits import Allowance, Buckets, Limits, Refusal, Seat, network_of


def seat(limits: Limits, address: str = "192.0.2.1", now: float = 0.0) -> Seat:
    """A seat that must be free."""
    found = limits.enter(address, now)
    assert isinstance(found, Seat)
    return found


def test_a_minutes_allowance_may_be_used_at_once() -> None:
    """A bucket gives its whole minute in a burst and then one attempt per refill."""
    buckets = Buckets(60)
    assert [buckets.take("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert buckets.take("a", 0.0) == pytest.approx(1.0)
    assert buckets.take("a", 1.0) == 0.0
    assert buckets.take("b", 1.0) == 0.0


def test_a_refused_attempt_takes_nothing() -> None:
    """A client that hammers the door is let in at the allowed rate; it never locks itself out."""
    buckets = Buckets(60)
    admitted = sum(not buckets.take("a", tick / 100) for tick in range(60 * 100))
    assert 118 <= admitted <= 120  # the burst, then one a second


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=200), st.integers(min_value=1, max_value=100))
def test_no_minute_lets_more_than_twice_the_rate_through(steps: list[float], rate: int) -> None:
    """Whatever the timing, one burst and one refill is the most that any minute sees."""
    buckets = Buckets(rate)
    now, taken = 0.0, []
    for step in steps:
        now += step
        if not buckets.take("a", now):
            taken.append(now)
    assert all(sum(at <= other <= at + 60 for other in taken) <= 2 * rate + 1 for at in taken)


def test_memory_follows_the_last_minute() -> None:
    """Keys that have refilled are forgotten, however many addresses a stranger makes up."""
    buckets = Buckets(60)
    for number in range(100_000):
        buckets.take(f"address {number}", number / 100)
    assert len(buckets) < 4096


def test_a_clock_that_steps_back_gives_nothing() -> None:
    """Time that runs backwards neither refills a bucket nor breaks it."""
    buckets = Buckets(1)
    assert buckets.take("a", 100.0) == 0.0
    assert buckets.take("a", 50.0) > 0


def test_messages_have_an_allowance_of_their_own() -> None:
    """One connection may send its minute's messages at once, then at the rate."""
    allowance = Allowance(3, 0.0)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(20.1), allowance.take(20.1)] == [True, False]


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_an_ipv6_host_counts_as_its_network(address: str, counted_as: str) -> None:
    """An IPv6 address counts as its /64, because one host has all of it."""
    assert network_of(address) == counted_as


def test_the_last_seat_is_the_last() -> None:
    """When every seat is taken the relay says so; a seat given back is free again, once."""
    limits = Limits(LimitSettings(connections=2))
    first, _ = seat(limits), seat(limits)
    assert limits.enter("192.0.2.1", 0.0) == Refusal("server_full", 5.0)
    first.leave()
    first.leave()
    assert limits.taken == 1
    seat(limits)
    assert isinstance(limits.enter("192.0.2.1", 0.0), Refusal)


def test_one_address_has_a_rate() -> None:
    """Too many connects from one address are refused with a pause; other addresses do not notice."""
    limits = Limits(LimitSettings(connects_per_minute_per_address=2))
    seat(limits), seat(limits)
    refusal = limits.enter("192.0.2.1", 0.0)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "connecting_too_often"
    assert 0 < refusal.retry_after <= 60
    seat(limits, "192.0.2.2")


def test_one_subject_has_its_number_and_its_rate() -> None:
    """A subject may hold so many connections and open so many a minute; a refused claim holds nothing."""
    limits = Limits(LimitSettings(connections_per_subject=2, connects_per_minute_per_subject=3))
    seats = [seat(limits) for _ in range(5)]
    assert seats[0].claim("ada", 0.0) is None
    assert seats[1].claim("ada", 0.0) is None
    assert seats[2].claim("ada", 0.0) == Refusal("too_many_connections", 5.0)
    assert seats[2].claim("bob", 0.0) is None
    seats[0].leave()
    assert seats[3].claim("ada", 0.0) is None
    seats[1].leave()
    again = seats[4].claim("ada", 0.0)
    assert again is not None
    assert again.code == "connecting_too_often"


def test_who_has_left_claims_nothing() -> None:
    """A client that hung up while its token was being checked does not count for its subject ever after."""
    limits = Limits(LimitSettings(connections_per_subject=1))
    gone = seat(limits)
    gone.leave()
    assert gone.claim("ada", 0.0) is None
    gone.leave()
    assert seat(limits).claim("ada", 0.0) is None
    assert limits.taken == 1


def test_a_few_bad_tokens_are_forgiven() -> None:
    """An address is told about its first bad tokens of a minute and then no more."""
    limits = Limits(LimitSettings(bad_tokens_per_minute_per_address=2))
    assert [limits.forgive("192.0.2.1", 0.0) for _ in range(3)] == [True, True, False]
    assert limits.forgive("192.0.2.2", 0.0)
    assert limits.forgive("192.0.2.1", 31.0)


def test_a_reload_keeps_who_is_seated() -> None:
    """New limits apply from now on and forget nobody who is connected."""
    limits = Limits(LimitSettings(connections=3))
    first = seat(limits)
    first.claim("ada", 0.0)
    limits.reconfigure(LimitSettings(connections=1, connections_per_subject=1))
    assert isinstance(limits.enter("192.0.2.1", 0.0), Refusal)
    first.leave()
    assert limits.taken == 0


def test_polls_are_counted_by_themselves() -> None:
    """A person who may not open another connection may still poll, and the other way round; seats are for both."""
    limits = Limits(LimitSettings(connections_per_subject=1, polls_per_subject=1, connections=3))
    connection, poll = limits.enter("192.0.2.1", 0.0), limits.enter("192.0.2.1", 0.0, poll=True)
    assert isinstance(connection, Seat)
    assert isinstance(poll, Seat)
    assert connection.claim("ada", 0.0) is None
    assert poll.claim("ada", 0.0) is None
    again = limits.enter("192.0.2.1", 0.0, poll=True)
    assert isinstance(again, Seat)
    assert again.claim("ada", 0.0) == Refusal("too_many_connections", 5.0)
    assert limits.enter("192.0.2.1", 0.0, poll=True) == Refusal("server_full", 5.0)
    poll.leave()
    again.leave()
    free = limits.enter("192.0.2.1", 0.0, poll=True)
    assert isinstance(free, Seat)
    assert free.claim("ada", 0.0) is None


@pytest.mark.parametrize("limit", ["polls_per_minute_per_address", "polls_per_minute_per_subject"])
def test_polls_have_a_rate_of_their_own(limit: str) -> None:
    """Polling too often keeps nobody from connecting."""
    limits = Limits(LimitSettings.model_validate({limit: 1}))

    def refused(*, poll: bool) -> bool:
        entered = limits.enter("192.0.2.1", 0.0, poll=poll)
        return isinstance(entered, Refusal) or entered.claim("ada", 0.0) is not None

    assert [refused(poll=True), refused(poll=True), refused(poll=False)] == [False, True, False]

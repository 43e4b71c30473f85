"""Numbers of several rounds, compared within each round: the machine may be busy, but it was so for all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Rounds", "percentile"]


@dataclass(frozen=True, slots=True)
class Rounds:
    """For each variant one number per round, the n-th of all variants taken shortly after one another."""

    numbers: dict[str, list[float]] = field(default_factory=dict)

    def add(self, variant: str, number: float) -> None:
        """Note the next number of a variant."""
        self.numbers.setdefault(variant, []).append(number)

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def median(self, variant: str) -> float:
        """The middle one of a variant's numbers."""
        return statistics.median(self.numbers[variant])

    def ratio(self, variant: str, base: str) -> float:
        """The middle one of the ratios to ``base`` in the same round. ValueError when rounds are missing."""
        pairs = zip(self.numbers[variant], self.numbers[base], strict=True)
        return statistics.median(number / reference for number, reference in pairs)

    def as_json(self) -> Mapping[str, Sequence[float]]:
        """All numbers, for whoever wants to look at the spread."""
        return {variant: [round(number, 3) for number in taken] for variant, taken in self.numbers.items()}


def percentile(numbers: Sequence[float], share: float) -> float:
    """The smallest of ``numbers`` that at least ``share`` (0 to 1) of them do not exceed (nearest rank)."""
    if not numbers:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(numbers)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

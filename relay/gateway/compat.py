"""The paths of the dashboards that existed before the relay, and how their wishes are read there.

Such a page brings its token in the query and knows nothing of filters, cursors or snapshots. On one path it sends a
``subscribe`` with every channel it has heard of, whatever it may see; on the others it sends nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from relay.messages import requests

__all__ = ["PROFILES", "Profile"]

#: Rows of the first fill: as many as those lists keep.
ROWS = 50
#: Those pages say "webhooks" and mean the events and the health of the endpoints.
_MEANS = {"webhooks": ("webhooks", "webhook_status")}


@dataclass(frozen=True, slots=True)
class Profile:
    """One such path. ``channels`` are subscribed on connect; empty: the client asks."""

    path: str
    channels: tuple[str, ...] = ()

    def on_connect(self, granted: Collection[str]) -> requests.Subscribe | None:
        """What the client is subscribed to without asking."""
        return self._subscribe(self.channels, granted)

    def asked(self, request: requests.Subscribe, granted: Collection[str]) -> requests.Subscribe | None:
        """What a subscribe stands for: its channels as far as they are granted, none of them an error."""
        return self._subscribe(request.channels, granted)

    @staticmethod
    def _subscribe(channels: Collection[str], granted: Collection[str]) -> requests.Subscribe | None:
        meant = [each for name in channels for each in _MEANS.get(name, (name,)) if each in granted]
        return requests.Subscribe(channels=list(dict.fromkeys(meant)), snapshot=ROWS) if meant else None


#: By path, without the slash at the end.
PROFILES = {
    profile.path.rstrip("/"): profile
    for profile in (
        Profile("/ws/admin/payments/"),
        Profile("/ws/admin/transactions/", ("transactions",)),
        Profile("/ws/admin/webhooks/", ("webhooks",)),
    )
}

"""Those who wait for a poll that begins after they asked."""

from __future__ import annotations

import asyncio

from relay.errors import CaptureDegraded

__all__ = ["Asks"]


class Asks:
    """A round of waiting: who has asked, who is being served, and what happens when there is nobody to serve them.

    ``bell`` is set when somebody asks. ``serving`` and ``check`` are about the poll that :meth:`begin` announced:
    whether somebody waits for it, and whether one of them wants to know how tables are captured.
    """

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.check = False
        self._asked: list[asyncio.Future[None]] = []
        self._check_asked = False
        self._served: list[asyncio.Future[None]] = []
        self._refusal: CaptureDegraded | None = CaptureDegraded("capture has not been started")

    @property
    def any(self) -> bool:
        """Whether somebody waits."""
        return bool(self._asked or self._served)

    @property
    def serving(self) -> bool:
        """Whether somebody waits for the present poll."""
        return bool(self._served)

    async def ask(self, *, check: bool) -> None:
        """Return once a poll that began after this call has been published. Raises CaptureDegraded."""
        if self._refusal is not None:
            raise CaptureDegraded(str(self._refusal))
        future = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        self._check_asked = self._check_asked or check
        self.bell.set()
        await future

    def begin(self) -> None:
        """A poll begins now; it will do for all who have asked so far."""
        self._served += self._asked
        self.check = self.check or self._check_asked
        self._asked, self._check_asked = [], False

    def done(self) -> None:
        """That poll has been published. Who has asked since it began goes on waiting."""
        served, self._served, self.check = self._served, [], False
        for future in served:
            if not future.done():
                future.set_result(None)

    def open(self) -> None:
        """There is a connection; asking makes sense."""
        self._refusal = None

    def refuse(self, why: CaptureDegraded) -> None:
        """There is none: tell those who wait, and whoever asks from now on."""
        self._refusal = why
        waiting, self._asked, self._served = self._served + self._asked, [], []
        self.check = self._check_asked = False
        for future in waiting:
            if not future.done():
                future.set_exception(CaptureDegraded(str(why)))

"""The composition root: every part of one relay is built, started and stopped here, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import structlog

from relay.capture.batch import Batch, CaptureStatus
from relay.capture.source import Capture
from relay.config import Settings
from relay.errors import ConfigError, RelayError
from relay.gateway.auth import Authenticator
from relay.gateway.counting import Counting
from relay.gateway.declared import declared
from relay.gateway.housekeeping import Housekeeping
from relay.gateway.limits import Limits
from relay.gateway.mirror import Mirror
from relay.gateway.server import Gateway
from relay.gateway.services import Services
from relay.gateway.snapshots import SnapshotDesk
from relay.gateway.subscribing import Subscriptions
from relay.gateway.tasks import Tasks
from relay.messages.compat import Dialect
from relay.routing.aggregates.aggregate import Aggregate
from relay.routing.aggregates.rooms import Aggregates
from relay.routing.channel import Channel
from relay.routing.hub import Hub
from relay.routing.needs import needs
from relay.routing.policies import Policies
from relay.routing.prepare import Preparer

__all__ = ["Daemon", "run"]

log = structlog.get_logger(__name__)

#: Seconds between two attempts to end what runs in the background.
CANCEL_AGAIN_SECONDS = 0.5


class Daemon:
    """One relay. ``run`` it once; ``port`` is known when it is ready.

    ``reread`` gives the settings anew for a reload, or raises the RelayError that says what is wrong with them.
    """

    def __init__(self, settings: Settings, *, reread: Callable[[], Settings] | None = None) -> None:
        self.settings = settings
        self._reread = reread
        self._hung_up = asyncio.Event()
        self._followed: frozenset[str] = frozenset()
        self._services: Services | None = None
        self._gateway: Gateway | None = None
        self._counting: Counting | None = None

    @property
    def counting(self) -> Counting:
        """What keeps the aggregates counted. Only while it runs."""
        assert self._counting is not None, "the daemon is not running"
        return self._counting

    @property
    def services(self) -> Services:
        """The parts that are shared between connections. Only while it runs."""
        assert self._services is not None, "the daemon is not running"
        return self._services

    @property
    def port(self) -> int:
        """The public port, also where the settings left the choice to the system. Only while it runs."""
        assert self._gateway is not None, "the daemon is not running"
        return self._gateway.port

    async def run(
        self, *, ready: Callable[[], None] | None = None, stop: asyncio.Event | None = None
    ) -> None:
        """Serve until ``stop`` is set. ``ready`` is called once clients are let in.

        Raises the RelayError that keeps it from starting. Afterwards nothing of it is left: no task, no session.
        """
        stop = stop or asyncio.Event()
        wanted = needs(self.settings)
        self._followed = frozenset(wanted)
        capture = Capture(self.settings, self._followed)
        try:
            await capture.start()
            channels, policies, aggregates = await declared(capture, self.settings, wanted)
            authenticator = Authenticator(self.settings.auth)
            async with asyncio.TaskGroup() as group:
                self._services = self._build(
                    capture, channels, policies, aggregates, authenticator, Tasks(group)
                )
                self._gateway = gateway = Gateway(self._services, subscribing=Subscriptions)
                counting = self._counting = Counting(self._services)
                housekeeping = Housekeeping(self._services, gateway)
                # From here on the order matters, both ways: who is not published to yet must not be let in.
                published = asyncio.Event()
                background = [group.create_task(self._publish(gateway, counting, published))]
                await _first(published, stop)
                if not stop.is_set():
                    await housekeeping.read_revocations()
                    await gateway.start()
                    # Last what is counted over whole tables: nobody waits for it.
                    for part in (gateway.run, housekeeping.run, self._reloads, counting.run):
                        background.append(group.create_task(part()))
                    log.info("ready", port=gateway.port, channels=sorted([*channels, *aggregates]))
                    if ready is not None:
                        ready()
                    await stop.wait()
                    log.info("stopping")
                    await gateway.drain()
                await _end(background)
        except BaseExceptionGroup as failed:
            cause = _cause(failed)
            if not isinstance(cause, RelayError):
                log.critical("failed", exc_info=failed)
            raise cause from None
        finally:
            if self._gateway is not None:
                self._gateway.abort()
            await capture.close()

    def hang_up(self) -> None:
        """Have the settings read again: after the start, or after the reload that is under way."""
        self._hung_up.set()

    async def _reloads(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            try:
                await self.reload()
            except Exception:  # a mistake of ours in new settings must not end what runs with the old ones
                log.exception("reload_failed")

    async def reload(self) -> None:
        """Take over channels, policies and keys from the settings as they are now, or say why not and keep the old.

        Addresses, limits of buffers and the database are those of the start until the next one.
        """
        if self._reread is None:
            log.warning("reload_refused", why="this relay was started without a file to read again")
            return
        try:
            settings = self._reread()
            wanted = needs(settings)
            if not set(wanted) <= self._followed:
                raise ConfigError(
                    "the new channels read tables that this relay does not follow yet; restart it to begin"
                )
            capture = self.services.capture
            channels, policies, aggregates = await declared(capture, settings, wanted)
            authenticator = Authenticator(settings.auth, revocations=self.services.authenticator.revocations)
        except RelayError as error:
            log.error("reload_refused", why=str(error))
            return
        services = self.services
        preparer = Preparer(channels, capture, settings.capture.lookup_cache_entries)
        services.settings = self.settings = settings
        services.channels, services.policies, services.authenticator = channels, policies, authenticator
        services.preparer = preparer
        services.dialect = _dialect(channels)
        services.snapshots = self._desk(capture, preparer, services.hub, settings)
        services.hub.reconfigure(channels)
        services.aggregates.replace(aggregates)
        assert self._gateway is not None
        self._gateway.reloaded()
        assert self._counting is not None
        self._counting.wake()
        log.info("reloaded", channels=sorted([*channels, *aggregates]))

    def _build(
        self,
        capture: Capture,
        channels: dict[str, Channel],
        policies: Policies,
        aggregates: dict[str, Aggregate],
        authenticator: Authenticator,
        tasks: Tasks,
    ) -> Services:
        settings = self.settings
        preparer = Preparer(channels, capture, settings.capture.lookup_cache_entries)
        hub = Hub(channels, settings.capture.ring_events, settings.limits.held_events)
        return Services(
            settings=settings,
            channels=channels,
            policies=policies,
            preparer=preparer,
            snapshots=self._desk(capture, preparer, hub, settings),
            hub=hub,
            aggregates=Aggregates(aggregates),
            capture=capture,
            authenticator=authenticator,
            limits=Limits(settings.limits),
            tasks=tasks,
            dialect=_dialect(channels),
        )

    @staticmethod
    def _desk(capture: Capture, preparer: Preparer, hub: Hub, settings: Settings) -> SnapshotDesk:
        return SnapshotDesk(capture, preparer, hub, scan_limit=settings.capture.snapshot_scan_limit)

    async def _publish(self, gateway: Gateway, counting: Counting, published: asyncio.Event) -> None:
        """From capture to the hub, for as long as the relay lives."""
        services = self.services
        mirror = Mirror(services)

        async def sink(batch: Batch) -> None:
            prepared = await services.preparer.prepare(batch.changes)
            services.hub.publish(prepared, batch)
            counting.published(batch)
            mirror.published(batch, prepared, datetime.now(UTC))
            published.set()

        def status(now: CaptureStatus) -> None:
            if not now.ok:
                services.hub.interrupted()
                counting.interrupted()
            gateway.capture_status(now)
            mirror.refresh()

        await services.capture.run(sink, status)


def _dialect(channels: Mapping[str, Channel]) -> Dialect:
    """How old dashboards are spoken to about these channels."""
    shapes = {name: (channel.message, channel.object) for name, channel in channels.items()}
    return Dialect(shapes, lambda: datetime.now(UTC).isoformat().replace("+00:00", "Z"))


async def _first(*events: asyncio.Event) -> None:
    """Return when one of ``events`` is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` until they have ended.

    Once is not enough: a TaskGroup that is ending anyway, because a part of it failed, swallows a cancellation.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)


def _cause(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The RelayError that ended everything, if there is one: it is what an operator wants to read."""
    found, _ = failed.split(RelayError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]  # type: ignore[assignment]
    return found or failed


async def run(
    settings: Settings,
    *,
    ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
    reload: Callable[[], Settings] | None = None,
) -> None:
    """Run a relay in this process until SIGTERM, SIGINT or ``stop``; SIGHUP reloads through ``reload``.

    Raises RelayError for what keeps it from starting.
    """
    stop = stop or asyncio.Event()
    daemon = Daemon(settings, reread=reload)
    loop = asyncio.get_running_loop()
    handlers = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: daemon.hang_up}
    with contextlib.ExitStack() as stack:
        for number, then in handlers.items():
            loop.add_signal_handler(number, then)
            stack.callback(loop.remove_signal_handler, number)
        await daemon.run(ready=ready, stop=stop)

"""`relay demo`: Postgres, payments, traffic and the relay on one machine, for as long as somebody watches."""

from __future__ import annotations

import asyncio
import signal

import psycopg

from relay import __version__, daemon, jsontext
from relay.demo.postgres import Postgres
from relay.demo.screen import follow
from relay.demo.stage import ROLES, Stage, set_stage
from relay.demo.traffic import Traffic
from relay.logs import configure

__all__ = ["run"]


async def run(*, json: bool = False, port: int = 8765, rate: float = 5.0, seed: int = 1) -> None:
    """Run the demo until SIGINT or SIGTERM.

    ``port``: if it is taken, another one. ``rate``: changes per second, from the stories that ``seed`` begins. With
    ``json`` standard output gets exactly one line, when the relay is ready; without, the live stream.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not json:
        _say("starting PostgreSQL, payment tables and the relay …")
    with Postgres.start() as server:
        stage = await set_stage(server, port)
        configure(stage.settings.logging)
        if not stop.is_set():
            await _perform(stage, stop, json=json, rate=rate, seed=seed)
    if not json:
        _say("\nstopped; no process and no directory is left")


async def _perform(stage: Stage, stop: asyncio.Event, *, json: bool, rate: float, seed: int) -> None:
    ready = asyncio.Event()

    async def serve() -> None:
        try:
            await daemon.run(stage.settings, ready=ready.set, stop=stop)
        finally:
            stop.set()
            ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(serve())
        await ready.wait()
        if stop.is_set():
            return
        show = [group.create_task(_traffic(stage.dsn, rate, seed))]
        if json:
            line = {"http": stage.http, "ws": stage.ws, "token": stage.tokens[0], "dsn": stage.dsn}
            _say(jsontext.encode(line).decode())
        else:
            _say(_programme(stage))
            channels = list(stage.settings.channels)
            show.append(group.create_task(follow(stage.ws, stage.tokens[0], channels, _say)))
        await stop.wait()
        for task in show:
            task.cancel()


async def _traffic(dsn: str, rate: float, seed: int) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await Traffic(connection, rate=rate, seed=seed).run()


def _programme(stage: Stage) -> str:
    server = stage.settings.server
    tokens = "".join(
        f"\n  token of {role.subject}, who sees {role.sees}:\n  {token}\n"
        for role, token in zip(ROLES, stage.tokens, strict=True)
    )
    return f"""
payment relay {__version__}, demo

  dashboard   {stage.http}#token={stage.tokens[0]}
  WebSocket   {stage.ws}
  metrics     http://{server.ops_host}:{server.ops_port}/metrics
  database    {stage.dsn}
{tokens}
Ctrl-C stops everything and leaves nothing behind. Every line below is a message that a dashboard gets.
"""


def _say(text: str) -> None:
    print(text, flush=True)

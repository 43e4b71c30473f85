"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

__all__ = ["eventually"]

LOOK_SECONDS = 0.01

T = TypeVar("T")


@overload
async def eventually(condition: Callable[..., Awaitable[T]], *, within: float = ...) -> T: ...
@overload
async def eventually(condition: Callable[..., T], *, within: float = ...) -> T: ...
async def eventually(condition: Callable[..., Any], *, within: float = 20.0) -> Any:
    """Call ``condition``, plain or async, until its result is truthy, and return that.

    An AssertionError inside the condition counts as "not yet". After ``within`` seconds the last one is
    raised, or a new one that shows the last result.
    """
    deadline = asyncio.get_running_loop().time() + within
    while True:
        try:
            outcome = condition()
            result = await outcome if inspect.isawaitable(outcome) else outcome
            if result:
                return result
            failure = AssertionError(f"not within {within} s; the last result was {result!r}")
        except AssertionError as error:
            failure = error
        if asyncio.get_running_loop().time() > deadline:
            raise failure
        await asyncio.sleep(LOOK_SECONDS)

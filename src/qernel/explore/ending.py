"""The end of the server: no request holds it up, no computation does, and nothing of it is a traceback."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qernel.stopping import PATIENCE

TICK_S = 0.25
"""How often requests look whether the server is to end."""

GRACE_S = 0.5
"""What a request has then to end by itself."""


class Ending:
    """Lets go of requests once the server is to end.

    uvicorn itself waits for them, cancels what is left and writes a traceback for each.

    Args:
        app: what answers.
        stopping: says whether the server is about to end.
    """

    def __init__(self, app: ASGIApp, stopping: Callable[[], bool]) -> None:
        self.app, self.stopping = app, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say in time that there is no answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        work = asyncio.ensure_future(self.app(scope, receive, noted))
        with suppress(asyncio.CancelledError):  # of this very task: uvicorn has lost its patience
            while not self.stopping() and not work.done():
                await asyncio.wait([work], timeout=TICK_S)
            await asyncio.wait([work], timeout=GRACE_S)
        if work.done() and not work.cancelled():
            work.result()
            return
        work.cancel()
        await asyncio.wait([work])
        if begun:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await PlainTextResponse("qernel explore has ended", status_code=503)(scope, receive, send)


def leave(stopping: Callable[[], bool], ended: threading.Event, say: Callable[[], None]) -> None:
    """Watch, on a thread of its own, that the process does not outlive its server by much.

    Args:
        stopping: says whether the server is about to end.
        ended: set when it has.
        say: called before the process is left where the server has not ended by then.
    """
    while not stopping():
        time.sleep(TICK_S)
    time.sleep(PATIENCE)  # XLA cannot be stopped while it compiles, and nothing of it is wanted any more
    if not ended.is_set():
        say()
    end_process()


def end_process() -> NoReturn:
    """Leave without Python's own shutdown, which waits for threads and answers one more Ctrl-C with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)

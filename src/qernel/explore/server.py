"""The requests of the page and their answers.

A page has no session here. One stream of live results belongs to one open request: when the browser goes away or the
slider moves, the request ends and its sampling with it, so two users never meet.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from qernel.errors import QernelError
from qernel.explore import view
from qernel.explore.catalogue import Entry, requested_state
from qernel.explore.download import KINDS, disposition, download
from qernel.explore.ending import TICK_S, Ending
from qernel.explore.live import FIRST, GROWTH, LiveSampling, Stopped
from qernel.explore.security import LocalOnly
from qernel.storage import to_json

if TYPE_CHECKING:
    import xarray

    from qernel.measure import State

STATIC = Path(__file__).parent / "static"

STREAMS = 8
"""Most live samplings at a time: they share one thread."""

RESULTS = 32
"""Results that are kept for downloads; older ones are forgotten."""


class Explorer:
    """The models, the thread that samples, and the latest results.

    Args:
        entries: of `catalogue`, the first one being what the page opens on.
        stopping: says whether the server is about to end.
    """

    def __init__(self, entries: Mapping[str, Entry], stopping: Callable[[], bool] = lambda: False) -> None:
        self.entries, self.stopping = entries, stopping
        # One thread for everything that is compiled: of several computations in flight on several host devices each
        # can wait for the others for ever. Its queue is what shares it fairly.
        self.worker = ThreadPoolExecutor(1, "sampling")
        self.samplings: set[LiveSampling] = set()
        self._streams = 0
        self._results: OrderedDict[str, xarray.Dataset] = OrderedDict()

    def entry(self, query: dict[str, str]) -> Entry:
        """The model that a query names, which is taken out of the query."""
        name = query.pop("model", "")
        if name not in self.entries:
            raise HTTPException(404, f"there is no model {name[:40]!r} here: choose from {', '.join(self.entries)}")
        return self.entries[name]

    def state(self, query: dict[str, str]) -> tuple[Entry, State]:
        """The model and the point that a query asks for."""
        entry = self.entry(query)
        return entry, requested_state(entry.model(), query)

    def keep(self, dataset: xarray.Dataset, token: str | None = None) -> str:
        """Keep a result for downloads; returns the name under which it is found."""
        token = token or secrets.token_urlsafe(12)
        self._results[token] = dataset
        self._results.move_to_end(token)
        while len(self._results) > RESULTS:
            self._results.popitem(last=False)
        return token

    async def models(self, request: Request) -> Response:
        """All models."""
        entries = self.entries.values()
        return _json({"models": [await asyncio.to_thread(view.describe, entry) for entry in entries]})

    async def stored(self, request: Request) -> Response:
        """The results measured earlier that are next to a point, or null."""
        entry, state = await asyncio.to_thread(self.state, dict(request.query_params))
        dataset = await asyncio.to_thread(entry.nearest, state)
        if dataset is None:
            return _json({"result": None})
        return _json({"result": view.result(dataset), "token": self.keep(dataset)})

    async def training(self, request: Request) -> Response:
        """The metrics of a run so far; without the curves where nothing has changed since ``stamp``."""
        query = dict(request.query_params)
        path = self.entry(query).metrics
        if path is None:
            raise HTTPException(404, "this model has no training record")
        stamp = str(path.stat().st_mtime_ns)
        if query.get("stamp") == stamp:
            return _json({"stamp": stamp})
        return _json({"stamp": stamp, **await asyncio.to_thread(view.training, path)})

    async def result(self, request: Request) -> Response:
        """A kept result as a file."""
        dataset, kind = self._results.get(request.path_params["token"]), request.path_params["kind"]
        if dataset is None or kind not in KINDS:
            raise HTTPException(404, "this result is no longer kept: move the slider to sample it again")
        content, media, name = await asyncio.to_thread(download, dataset, kind)
        return Response(content, media_type=media, headers={"content-disposition": disposition(name)})

    async def live(self, request: Request) -> Response:
        """A stream of JSON lines about one point, for as long as somebody reads it."""
        _, state = await asyncio.to_thread(self.state, dict(request.query_params))
        return _Live(self, self._stream(state))

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places for streams, for as long as it is needed."""
        if self._streams >= STREAMS:
            raise HTTPException(503, f"{STREAMS} samplings are running already: close a page or a panel")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def _stream(self, state: State) -> AsyncGenerator[str, None]:
        sampling: LiveSampling | None = None
        token, due = None, float(FIRST)
        try:
            sampling = await asyncio.get_running_loop().run_in_executor(self.worker, LiveSampling, state)
            self.samplings.add(sampling)
            while not (sampling.finished or self.stopping()):
                turn = asyncio.get_running_loop().run_in_executor(self.worker, sampling.advance)
                turn.add_done_callback(_heard)
                while not (await asyncio.wait([turn], timeout=TICK_S))[0]:
                    if self.stopping():
                        return
                    yield _line(kind="progress", fraction=sampling.fraction, count=sampling.count)
                await turn
                yield _line(kind="walkers", walkers=sampling.walkers(8), count=sampling.count, total=sampling.total)
                if sampling.count >= due or sampling.finished:
                    dataset = await asyncio.to_thread(sampling.measure)
                    token = self.keep(dataset, token)
                    yield _line(kind="result", result=view.result(dataset), token=token, finished=sampling.finished)
                    due = max(GROWTH * due, sampling.count)
        except Stopped:
            pass
        except (QernelError, FloatingPointError, ValueError) as error:  # a response that has begun has no status left
            yield _line(kind="error", error=" ".join(str(error).split())[:500])
        finally:
            if sampling is not None:
                sampling.stop()
                self.samplings.discard(sampling)

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """While the server runs: the first model is compiled ahead of the first question."""
        warm: list[LiveSampling] = []

        def compile_first() -> None:
            # What is stored comes first: the page opens with it, and reading takes seconds beside a compilation.
            for entry in self.entries.values():
                with suppress(QernelError):  # said when it is asked for
                    view.describe(entry)
            entry = next(iter(self.entries.values()))
            if entry.available:
                model = entry.model()
                warm.append(LiveSampling(model.at(model.hamiltonian.middle["lam"])))
                with suppress(Stopped):
                    warm[0].advance()
                    warm[0].measure()  # imports what the statistics need

        self.worker.submit(compile_first)
        yield
        for sampling in [*warm, *self.samplings]:
            sampling.stop()
        self.worker.shutdown(wait=False, cancel_futures=True)


class _Live(StreamingResponse):
    """A stream that has its place and its sampling no longer than somebody reads it."""

    def __init__(self, explorer: Explorer, stream: AsyncGenerator[str, None]) -> None:
        super().__init__(stream, media_type="application/x-ndjson")
        self._explorer, self._stream = explorer, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a place, if there is one, and answer. Both in one step: the requests of a moment all come at once."""
        async with aclosing(self._stream):
            with self._explorer.place():
                await super().__call__(scope, receive, send)


def application(explorer: Explorer, hosts: list[str]) -> Starlette:
    """The server's application, answering under the given names with port only."""

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def failed(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return _json({"error": error.detail}, error.status_code)
        return _json({"error": str(error)}, 400)

    routes = [
        Route("/", page),
        Route("/api/models", explorer.models),
        Route("/api/stored", explorer.stored),
        Route("/api/live", explorer.live),
        Route("/api/training", explorer.training),
        Route("/api/result/{token}/{kind}", explorer.result),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers: Any = {QernelError: failed, HTTPException: failed}
    middleware = [Middleware(Ending, stopping=explorer.stopping), Middleware(LocalOnly, hosts=hosts)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=explorer.running)


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def _heard(turn: asyncio.Future[None]) -> None:
    """Nobody may be left to hear how a turn has ended, of which asyncio would complain on the terminal."""
    if not turn.cancelled():
        turn.exception()


def _line(**fields: Any) -> str:
    return to_json(fields) + "\n"

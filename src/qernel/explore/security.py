"""Who may ask: the browser of this machine, on our own page, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    # Everything the page needs is served here: no other address is ever asked for anything.
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class LocalOnly:
    """Refuses requests under a foreign name (DNS rebinding) or from a page of somebody else.

    Args:
        app: what is protected.
        hosts: the names with port under which the server is reached, such as ``127.0.0.1:8000``.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.origins = frozenset(f"http://{host}" for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        # `none` is a typed address or a bookmark; old browsers and programs do not send the header.
        site = headers.get("sec-fetch-site", "none")
        problem = None
        if headers.get("host", "").lower() not in self.hosts:
            problem = "this address is not served here: open the one that qernel explore has printed"
        elif (origin is not None and origin.lower() not in self.origins) or site not in ("none", "same-origin"):
            problem = "requests from other pages are not answered"
        if problem is not None:
            await PlainTextResponse(problem, status_code=403, headers=_HEADERS)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers)

"""The server as a process: one socket on 127.0.0.1, a browser if wanted, Ctrl-C to end it."""

from __future__ import annotations

import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

import uvicorn

from qernel.errors import QernelError
from qernel.explore.catalogue import Entry
from qernel.explore.ending import end_process, leave
from qernel.explore.protocol import PromptRequests
from qernel.explore.server import Explorer, application
from qernel.stopping import heeded

HOST = "127.0.0.1"


def listen(port: int | None) -> socket.socket:
    """A listening socket on this machine's own address, which nobody else reaches.

    Args:
        port: the port; a free one if None.

    Raises:
        QernelError: if the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port or 0))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise QernelError(f"--port {port}: {error.strerror}, choose another port or leave it out") from error
    return listener


def configuration(explorer: Explorer, port: int) -> uvicorn.Config:
    """How the server answers on a port."""
    return uvicorn.Config(
        application(explorer, [f"{HOST}:{port}", f"localhost:{port}"]),
        log_level="warning",
        access_log=False,
        server_header=False,
        loop="asyncio",
        http=PromptRequests,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=5,
    )


class _Server(uvicorn.Server):
    """A second Ctrl-C adds nothing: uvicorn would leave its own tasks behind, with a traceback, and `leave` is near."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.force_exit = False


def _end_by_signals(server: uvicorn.Server) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end the server, from the first moment on and until the process is gone.

    uvicorn listens to signals only while it serves, and raises what it has received once more at its end.
    """
    for number in heeded():
        signal.signal(number, server.handle_exit)


def serve(
    entries: Mapping[str, Entry],
    *,
    port: int | None = None,
    browser: bool = True,
    ready: Callable[[str], None],
    ended: Callable[[], None],
) -> NoReturn:
    """Answer until Ctrl-C, SIGTERM or a closed terminal, then end the process, whatever is still computed.

    Args:
        entries: the models of the page.
        port: to listen on; a free one if None.
        browser: whether to open the page.
        ready: called with the address as soon as it answers.
        ended: called at the end, once.
    """
    with listen(port) as listener:
        number = listener.getsockname()[1]
        explorer = Explorer(entries, stopping=lambda: server.should_exit)
        server = _Server(configuration(explorer, number))
        address = f"http://{HOST}:{number}/"
        over = threading.Event()
        watch = [lambda: server.should_exit, over, ended]
        _end_by_signals(server)
        # The socket listens already: whoever comes before the server answers waits in its queue.
        ready(address)
        if browser:
            # A browser in the terminal would keep this thread from answering it.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        threading.Thread(target=leave, args=watch, name="qernel explore end", daemon=True).start()
        server.run(sockets=[listener])
        over.set()
    ended()
    end_process()

"""Several processes that a launcher has started together: who they are, and how they meet.

This imports nothing heavy; JAX joins them when all of them are there.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from qernel import runtime
from qernel.errors import QernelError

PATIENCE_S = 120.0
"""How long processes wait for each other; a batch system starts all of them within seconds."""

_SAID_S = 3.0
"""After how long a process says that it waits."""

_GREETING = b"qernel process %d of %d\n"


class Launch(NamedTuple):
    """Place of this process among those that a launcher has started together."""

    coordinator: str
    processes: int
    number: int


def launched() -> Launch | None:
    """What the launcher says, or None if this process is alone.

    By hand: JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES, JAX_PROCESS_ID. As torchrun sets them:
    MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK; the port next to MASTER_PORT is used, which torchrun itself listens on.
    As srun sets them: SLURM_STEP_NODELIST, SLURM_NTASKS, SLURM_PROCID.

    Raises:
        QernelError: if the variables contradict each other.
    """
    given, names = os.environ, _names()
    if names is None:
        return None
    count, number = (given.get(name, "") for name in names)
    if not (count.isdecimal() and number.isdecimal() and int(number) < int(count)):
        raise QernelError(
            f"{names[0]} = {count!r} and {names[1]} = {number!r} do not name a process among several: "
            "set both as the launcher does, or unset both"
        )
    return Launch(_address(names[0]), int(count), int(number)) if int(count) > 1 else None


def _names() -> tuple[str, str] | None:
    """The variables of the launcher that say how many processes there are, and which of them this is."""
    given = os.environ
    if "JAX_COORDINATOR_ADDRESS" in given and "JAX_NUM_PROCESSES" in given:
        return "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
    if "MASTER_ADDR" in given and "WORLD_SIZE" in given:
        return "WORLD_SIZE", "RANK"
    if "SLURM_STEP_NODELIST" in given and "SLURM_NTASKS" in given and "SLURM_JOB_ID" in given:
        return "SLURM_NTASKS", "SLURM_PROCID"
    return None


def _address(count: str) -> str:
    """Where the first process is reached, by the launcher that sets the variable ``count``."""
    given = os.environ
    if count == "JAX_NUM_PROCESSES":
        address = given["JAX_COORDINATOR_ADDRESS"]
        port = address.rpartition(":")[2]
        if not (port.isdecimal() and 0 < int(port) < 65536 and address.rpartition(":")[0]):
            raise QernelError(f"JAX_COORDINATOR_ADDRESS = {address!r} is not HOST:PORT: give e.g. node1:1234")
        return address
    if count == "WORLD_SIZE":
        port = given.get("MASTER_PORT", "")
        if not port.isdecimal() or not 0 < int(port) < 65535:
            raise QernelError(f"MASTER_PORT = {port!r} is not a port: give a number, or unset MASTER_ADDR")
        return f"{given['MASTER_ADDR']}:{int(port) + 1}"
    job = given["SLURM_JOB_ID"]
    if not job.isdecimal():
        raise QernelError(f"SLURM_JOB_ID = {job!r} is not the number of a job: unset SLURM_STEP_NODELIST")
    # The same port for all tasks of a job, different for most jobs that share a machine.
    return f"{first_host(given['SLURM_STEP_NODELIST'])}:{61440 + int(job) % 4096}"


def first_host(nodes: str) -> str:
    """The first host of a list as SLURM writes it: ``a[01-03,7]b[1-2]-x,c4`` begins with ``a01b1-x``.

    Each pair of brackets stands for its numbers, ranges of them and commas between them; a name may have several, and
    text after them. Numbers keep their leading zeros.

    Raises:
        QernelError: if it is no such list.
    """
    match = re.match(r"(?:[^\[\],\s]|\[\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*\])+(?=,|$)", nodes)
    if match is None:
        raise QernelError(
            f"SLURM_STEP_NODELIST = {nodes[:200]!r} is no list of hosts such as node[01-03,7],other4: "
            "give the first one in JAX_COORDINATOR_ADDRESS (with JAX_NUM_PROCESSES and JAX_PROCESS_ID), or unset it"
        )
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", match[0])


def join() -> None:
    """Join the processes that a launcher has started with this one, if any; call it after `runtime.configure`.

    Raises:
        QernelError: if the others cannot be reached, or there are no such devices as JAX_PLATFORMS asks for.
    """
    launch = launched()
    if launch is None:
        runtime.require_platform()
        return
    # JAX would wait for five minutes without a word and end the process with a stack of C++ functions.
    meet(launch, PATIENCE_S)
    import jax

    settings: Any = jax.config  # untyped
    # Between processes on CPUs; accelerators have their own.
    settings.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(launch.coordinator, launch.processes, launch.number)
    except RuntimeError as error:
        raise QernelError(
            f"process {launch.number} of {launch.processes} cannot join the others at {launch.coordinator}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    runtime.require_platform()


def meet(launch: Launch, patience: float) -> None:
    """Return as soon as all processes are there.

    The first listens where JAX will, the others come to it; it lets them go when it has seen all.

    Raises:
        QernelError: after ``patience`` seconds, or if the address cannot be used.
    """
    end = time.monotonic() + patience
    (_receive if launch.number == 0 else _come)(launch, _Waiting(launch, end))


class _Waiting:
    """Time that passes while processes are missed, with a word about it."""

    def __init__(self, launch: Launch, end: float) -> None:
        self._launch, self._end = launch, end
        self._next = time.monotonic() + _SAID_S

    def check(self, missing: str) -> None:
        """Say who is missed, from time to time.

        Raises:
            QernelError: when the time is over.
        """
        now, names = time.monotonic(), " and ".join(_names() or ())
        what = f"process {self._launch.number} of {self._launch.processes} waits for {missing}"
        if now > self._end:
            raise QernelError(
                f"{what} at {self._launch.coordinator} in vain: start all of them with one launcher (srun, torchrun), "
                f"or unset {names} to train in this process alone"
            )
        if now > self._next:
            self._next = now + 10.0
            print(f"{what} (as {names} say), {self._end - now:.0f} s more", file=sys.stderr, flush=True)


def _receive(launch: Launch, waiting: _Waiting) -> None:
    expected = {_GREETING % (number, launch.processes) for number in range(1, launch.processes)}
    here: dict[bytes, socket.socket] = {}
    try:
        with _listener(launch) as listener:
            while len(here) < len(expected):
                missing = [str(int(name.split()[2])) for name in sorted(expected - here.keys())]
                more = f" and {len(missing) - 6} more" * (len(missing) > 6)
                waiting.check(f"process{'es' * (len(missing) > 1)} {', '.join(missing[:6])}{more}")
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                name = _line(connection)
                if name in expected:
                    here[name] = connection
                else:
                    connection.close()
        for connection in here.values():
            connection.sendall(b"go\n")
    finally:
        for connection in here.values():
            connection.close()


def _come(launch: Launch, waiting: _Waiting) -> None:
    host, _, port = launch.coordinator.rpartition(":")
    while True:
        waiting.check("process 0")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5.0) as connection:
                connection.sendall(_GREETING % (launch.number, launch.processes))
                while not (answer := _line(connection)):
                    waiting.check("the others")
                if answer == b"go\n":
                    return
        except OSError:  # it does not listen yet, or it has stopped
            pass
        time.sleep(0.2)


@contextmanager
def _listener(launch: Launch) -> Iterator[socket.socket]:
    port = int(launch.coordinator.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        listener = socket.create_server(("", port), family=family, backlog=launch.processes, dualstack_ipv6=both)
    except OSError as error:
        raise QernelError(
            f"process 0 of {launch.processes} cannot listen at port {port} ({error.strerror}): is it running already? "
            f"Otherwise unset {' and '.join(_names() or ())} to train in this process alone"
        ) from error
    with listener:
        listener.settimeout(0.5)
        yield listener


def _line(connection: socket.socket) -> bytes:
    """A line that comes within a second; empty if none does.

    Raises:
        OSError: if the other end has closed.
    """
    connection.settimeout(1.0)
    try:
        text = connection.recv(64)
    except TimeoutError:
        return b""
    if not text:
        raise ConnectionError("closed")
    return text

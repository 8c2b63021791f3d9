"""How JAX is started: precision, devices and threads.

Import this before jax; it imports nothing heavy itself.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from qernel.errors import QernelError

MAX_DEVICES = 16
"""More host devices than this have not been seen to pay."""

_THREADS = 8
"""Fewest threads of XLA's pool for several devices whose factorisations may be divided."""

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""Where Linux says to whom it gives huge pages."""

_TUNABLES, _HUGE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"

_EIGEN = "--xla_cpu_multi_thread_eigen"
_COUNT = "--xla_force_host_platform_device_count"
_FUSIONS = "--xla_cpu_experimental_ynn_fusion_type"
_HAS_FUSIONS = (0, 10)
"""First jaxlib that is known to have the flag; XLA ends the process over one that it does not know."""


def configure(devices: int | None = None, *, undivided: bool = False, joining: bool = False) -> None:
    """Set what JAX and NumPy read from the environment when they start; call it before JAX has `started`.

    What the user has set stays, apart from double precision, which Qernel cannot do without.

    Args:
        devices: host devices to split the cores into; None means `usable_devices()`. The environment
            variable QERNEL_DEVICES overrides it, and so does the flag itself in XLA_FLAGS.
        undivided: whether `qernel.laplacian.factors` makes all factorisations, as with every Laplacian but folx.
        joining: whether `qernel.launch.join` follows, before which JAX must not look for devices.

    Raises:
        QernelError: see `require_platform`.
    """
    number = _requested() or devices or usable_devices()
    given = os.environ.get("XLA_FLAGS", "")
    names = {flag.partition("=")[0] for flag in given.split()}
    # The thread pool of XLA's multi-threaded Eigen has been seen to deadlock after hours of training. Several
    # single-threaded devices with the walkers shared out among them use the cores as well, without that pool, and
    # are faster: 118 ms against 158 ms a step for six electrons on two cores.
    flags = {_EIGEN: "false", _COUNT: str(number)}
    if _jaxlib() >= _HAS_FUSIONS:
        # XLA's library of matrix products also takes sums and elementwise work, where it is slower than compiled
        # code: left with the products alone, the local energy is 1.15 to 1.3 times faster (docs/benchmarks.md).
        flags[_FUSIONS] = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    added = [f"{name}={value}" for name, value in flags.items() if name not in names]
    os.environ["XLA_FLAGS"] = " ".join([given, *added]).strip()
    # A factorisation of many matrices runs on a thread of XLA's pool, hands parts of the work to the same pool and
    # waits for them. With a thread for each device, and all of them waiting, nothing moves again
    # (docs/results/method.md). If nothing is divided, a thread for each device is the fastest; otherwise there are
    # threads to spare.
    threads = number if undivided or number == 1 else max(_THREADS, 4 * number)
    os.environ.setdefault("PJRT_NPROC", str(threads))
    # NumPy's linear algebra would start as many threads again and fight XLA's for the cores: a small `eigh` has been
    # measured to take 400 times longer.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    require_x64()
    # What was compiled once is kept for the next command: the first answer of a model then comes seconds earlier.
    folder = compilation_cache()
    if folder is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        _keep_compiled(os.environ["JAX_COMPILATION_CACHE_DIR"])
    if not joining:
        require_platform()


def _keep_compiled(folder: str) -> None:
    """Tell JAX where, if it has read its environment already."""
    if "jax" in sys.modules:
        import jax

        settings: Any = jax.config  # untyped
        if settings.jax_compilation_cache_dir is None:
            settings.update("jax_compilation_cache_dir", folder)


def started() -> bool:
    """Whether JAX has looked for devices in this process: from then on `configure` changes nothing."""
    bridge: Any = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bool(bridge.backends_are_initialized())


def restart_in_huge_pages() -> None:
    """Start this program again with its memory in huge pages, unless it is already or they cannot be had.

    The largest arrays of an iteration, the score rows, are allocated anew every time. Mapped page by page of 4 kB that
    takes half of the time of computing them (docs/benchmarks.md). Where Linux gives huge pages to those who ask for
    them, the C library can ask, but it reads that setting only when a program starts. ``glibc.malloc.hugetlb=0`` in
    GLIBC_TUNABLES prevents it.
    """
    given = os.environ.get(_TUNABLES, "")
    if _HUGE in given or platform.libc_ver()[0] != "glibc":
        return
    try:
        on_request = "[madvise]" in HUGE_PAGES.read_text("ascii")
    except (OSError, ValueError):
        return
    line = sys.orig_argv[1:]
    if not on_request or not line or line[0] == "-":  # a program read from standard input cannot be read again
        return
    os.environ[_TUNABLES] = ":".join(filter(None, [given, f"{_HUGE}=1"]))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *line])


def _jaxlib() -> tuple[int, ...]:
    """Version of jaxlib, without importing it."""
    return tuple(int(part) for part in re.findall(r"\d+", version("jaxlib"))[:2])


def cache_folder() -> Path | None:
    """What is kept between commands: ``$XDG_CACHE_HOME/qernel`` or ``~/.cache/qernel``; None with QERNEL_CACHE=off."""
    if os.environ.get("QERNEL_CACHE", "").strip().lower() in ("off", "0"):
        return None
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qernel"
    except RuntimeError:  # no home directory
        return None


def compilation_cache() -> Path | None:
    """Where compiled programs are kept between commands; None where there is no `cache_folder`.

    In one folder per kind of processor: a home directory may be shared by machines that cannot run each other's
    programs.
    """
    cache = cache_folder()
    if cache is None:
        return None
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        kind = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        kind = f"{platform.machine()} {platform.processor()}"
    return cache / f"compiled-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"


def require_x64() -> None:
    """Switch on double precision and full-precision matrix products, whether jax is imported already or not.

    Importing `qernel` does, and so does every `Hamiltonian`, with which a computation begins: the program around may
    have switched it off in between. Ewald sums, the natural-gradient solve and averages need double precision (the
    wavefunction may do with less). Matrix products on accelerators are in TensorFloat-32 or bfloat16 unless told
    otherwise, and energies come out wrong; a precision that the user has chosen stays.
    """
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    if "jax" not in sys.modules:
        return
    import jax

    settings: Any = jax.config  # untyped
    if not settings.jax_enable_x64:
        settings.update("jax_enable_x64", True)
    if settings.jax_default_matmul_precision is None:
        settings.update("jax_default_matmul_precision", "highest")


def usable_devices(*shared: int) -> int:
    """Number of host devices to use: one a core, up to `MAX_DEVICES`.

    Args:
        shared: walker counts that have to be split evenly; without any, a power of two is chosen, because
            walker counts usually are multiples of one.
    """
    most = min(usable_cores(), MAX_DEVICES)
    if not shared:
        return 1 << (most.bit_length() - 1)
    return next(number for number in range(most, 0, -1) if all(count % number == 0 for count in shared))


def usable_cores() -> int:
    """Cores this process may use: its affinity, and the CPU quota of a container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max": no quota
        pass
    return max(cores, 1)


def _requested() -> int | None:
    """The value of QERNEL_DEVICES."""
    text = os.environ.get("QERNEL_DEVICES", "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise QernelError(
            f"QERNEL_DEVICES = {text!r} is not a number of devices: give e.g. QERNEL_DEVICES=2, or unset it"
        )
    return int(text)


def require_platform() -> None:
    """See that JAX has the devices that JAX_PLATFORMS asks for; without it, JAX takes what there is.

    Raises:
        QernelError: if there are none.
    """
    wanted = os.environ.get("JAX_PLATFORMS", "")
    if wanted in ("", "cpu"):
        return
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the second for cuda where JAX is installed without it
        reason = " ".join(str(error).split())[:200]
        raise QernelError(
            f"JAX_PLATFORMS = {wanted!r} asks for devices that cannot be used here: unset it, or set JAX_PLATFORMS=cpu"
            + f" ({reason})" * bool(reason)
        ) from error


def refuse_forked() -> None:
    """See that this process was not forked from one in which JAX had started: whatever it computes would never end.

    Raises:
        QernelError: if it was.
    """
    if _forked:
        raise QernelError(
            "this process was forked after JAX had started, and would wait for ever for threads that it does not have: "
            "start processes afresh, with multiprocessing.get_context('spawn')"
        )


_forked = False


def _note_fork() -> None:
    global _forked
    _forked = started()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)

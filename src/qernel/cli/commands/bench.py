"""``qernel bench``: what each stage costs per walker, beside a general forward Laplacian."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import qernel
from qernel import outputs, runtime
from qernel.cli.shared.arguments import whole
from qernel.cli.shared.options import add_json, add_overrides
from qernel.errors import RunError
from qernel.storage import to_json
from qernel.text import columns

if TYPE_CHECKING:
    from qernel.benchmark.measure import Timing

TABLE, RECORD = "bench.txt", "bench.json"

COLUMNS: Final = {
    "N": "electrons",
    "stage": "of a training step that is timed",
    "devices": "that share the walkers",
    "walkers": "timed together",
    "ms/walker": "median time of a repetition over the walkers, in ms",
    "±": "half the distance between the quartiles of the repetitions, in ms",
    "reference ms": "the same with the general library named there",
    "ratio": "reference over own time",
    "of matmul": "floating-point rate over that of a large matrix product on this machine",
    "memory": "temporary memory of the computation",
}
"""Columns of the table, with their meaning."""

STAGES = ("forward", "local_energy", "gradient", "sampling", "step")
"""The names of `qernel.benchmark.stages.STAGES`, which needs JAX."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel bench``."""
    parser.description = (
        "Time log ψ, local energy, score rows, sampling and a whole training iteration per walker, in turns with the "
        "same computation through a general forward-Laplacian library."
    )
    parser.add_argument(
        "--electrons",
        metavar="N",
        nargs="+",
        type=whole(1),
        default=[6, 24, 54],
        help="systems of filling 2/3: 2, 6, 24, 54, 96, 150 (default: 6 24 54)",
    )
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=list(STAGES), help="stages (default: all)")
    parser.add_argument(
        "--devices",
        metavar="N",
        type=whole(1),
        default=1,
        help="devices; CPU cores are limited to as many (default: 1)",
    )
    parser.add_argument("--out", metavar="DIR", help=f"folder for {TABLE} and {RECORD} (default: nothing is written)")
    add_json(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Time the stages, print the table or the JSON object, and write both where a folder is wanted."""
    available = runtime.usable_devices()
    out = None if options.out is None else Path(options.out)
    with outputs.held(out, [TABLE, RECORD]), _cores(options.devices):
        outputs.refuse_existing([] if out is None else [out / TABLE, out / RECORD])
        return _run(options, out, available)


def _run(options: argparse.Namespace, out: Path | None, available: int) -> int:
    runtime.configure(options.devices)
    import jax

    from qernel.benchmark import measure
    from qernel.benchmark.flops import matmul_rate

    if options.devices > (available if jax.default_backend() == "cpu" else jax.device_count()):
        raise RunError(f"--devices {options.devices} is more than the {available} of this machine")
    timings: list[Timing] = []
    configs = [measure.configuration(count, options.set) for count in options.electrons]
    speed = matmul_rate(options.devices)
    for timing in measure.run(configs, options.stage, options.devices, speed):
        timings.append(timing)
        print(f"{timing.electrons} electrons, {timing.stage}: {timing.ms_per_walker:.3g} ms", file=sys.stderr)
    data = {
        "results": [timing._asdict() for timing in timings],
        "scaling": _scaling(timings),
        "matmul_GFLOPs": speed / 1e9,
        "machine": _machine(),
        "settings": list(options.set),
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "qernel": qernel.__version__,
    }
    text = _table(timings, data)
    if out is not None:
        outputs.write_text(out / TABLE, text + "\n")
        outputs.write_text(out / RECORD, to_json(data, indent=2) + "\n")
    print(to_json(data) if options.json else text)
    return 0


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """Work on some cores only: XLA's matrix products use every core they may, whatever a device is."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _scaling(timings: Sequence[Timing]) -> dict[str, float]:
    from qernel.benchmark.measure import scaling_exponent

    groups: dict[str, list[Timing]] = {}
    for timing in timings:
        groups.setdefault(timing.stage, []).append(timing)
    fits = {name: scaling_exponent(group) for name, group in groups.items()}
    return {name: value for name, value in fits.items() if value is not None}


def _machine() -> dict[str, Any]:
    import jax

    names: Any = None
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines()
        names = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    return {
        "device": jax.devices()[0].device_kind,
        "backend": jax.default_backend(),
        "cpu": names or platform.processor(),
        "cores": os.cpu_count(),
        "jax": jax.__version__,
    }


def _table(timings: Sequence[Timing], data: dict[str, Any]) -> str:
    from qernel.benchmark.stages import REFERENCE

    rows = [[*(f"{REFERENCE} ms" if name == "reference ms" else name for name in COLUMNS), ""]]
    for t in timings:
        rows.append(
            [
                str(t.electrons),
                t.stage,
                str(t.devices),
                str(t.walkers),
                f"{t.ms_per_walker:.3g}",
                f"{t.spread:.1g}",
                "" if t.reference_ms_per_walker is None else f"{t.reference_ms_per_walker:.3g}",
                "" if t.ratio is None else f"{t.ratio:.2f}",
                f"{100 * t.matmul_fraction:.0f} %",
                "" if t.memory_MB is None else f"{t.memory_MB:.0f} MB",
                "",
            ]
        )
    machine = data["machine"]
    lines = [
        f"{machine['cpu'] if machine['backend'] == 'cpu' else machine['device']}, jax {machine['jax']}, {data['date']}",
        data["command"],
        "",
        columns(rows),
        "",
        *(f"{name}: time grows as N^{value:.2f}" for name, value in data["scaling"].items()),
        f"large matrix products: {data['matmul_GFLOPs']:.0f} GFLOP/s",
    ]
    return "\n".join(lines)

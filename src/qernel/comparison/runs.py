"""Training the runs of a comparison and measuring them: both are taken up again where they were left.

DIR/runs/LABEL/seed-S                 an ordinary run folder
DIR/runs/LABEL/seed-S/seconds.csv     the time its steps took
DIR/runs/LABEL/seed-S/energies.json   its energies on fresh chains, at the end and on the way there
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.comparison.clock import read, seconds_at
from qernel.config import Config
from qernel.errors import RunError
from qernel.files import write_atomically
from qernel.lattice import FloatArray
from qernel.records import read_json, to_record
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.measure import Model

ENERGIES_FILE = "energies.json"


class Measured(NamedTuple):
    """A run along its training: ``[K]`` points, the last is its end; energies per electron in E0 at ``[L]`` λ.

    ``rhat`` is the largest of the chains at the end.
    """

    seconds: FloatArray
    iterations: FloatArray
    energy: FloatArray
    error: FloatArray
    rhat: float


class Sampling(NamedTuple):
    """How energies are measured."""

    lam: tuple[float, ...]
    samples: int
    walkers: int
    seed: int


Measure = Callable[[Config, Path, str, Sampling, Callable[[float], None] | None], list[tuple[float, float, float]]]
"""(configuration, checkpoint, label, sampling, progress) → (energy, error, rhat) for each λ."""


def folder(out: Path, label: str, seed: int) -> Path:
    """The folder of a run."""
    return out / "runs" / label / f"seed-{seed}"


def milestones(paths: Sequence[Path], count: int) -> list[tuple[int, Path]]:
    """At most ``count`` checkpoints, the last one and those next to 1/2, 1/4, ... of its iteration, oldest first.

    Args:
        paths: checkpoints, newest first.
        count: most to take.
    """
    found = {int(path.stem.rpartition("-")[2]): path for path in paths}
    last = max(found)
    wanted = [min(found, key=lambda iteration: abs(iteration - last / 2**k)) for k in range(count)]
    # The state before the first update is no point of a learning curve.
    return [(iteration, found[iteration]) for iteration in sorted(set(wanted)) if iteration > 0 or iteration == last]


def measured(
    run: Path,
    config: Config,
    paths: Sequence[Path],
    label: str,
    sampling: Sampling,
    points: int,
    measure: Measure,
    progress: Callable[[float], None] | None = None,
) -> Measured:
    """The energies of a finished run, read if they have been measured before.

    Args:
        run: its folder.
        config: its configuration.
        paths: its checkpoints, newest first.
        label: of the model; chains of different models, seeds and λ are independent.
        sampling: how to measure.
        points: most points of the learning curve.
        measure: does it.
        progress: called with the fraction done.
    """
    chosen = milestones(paths, points)
    request = json.loads(to_json({**sampling._asdict(), "fingerprint": config.fingerprint(), "label": label}))
    stored = _stored(run / ENERGIES_FILE, request)
    rows = read(run)
    for index, (iteration, path) in enumerate(chosen):
        if str(iteration) in stored:
            continue

        def part(fraction: float, index: int = index) -> None:
            if progress is not None:
                progress((index + fraction) / len(chosen))

        stored[str(iteration)] = [list(row) for row in measure(config, path, label, sampling, part)]
        text = to_record({"request": request, "energies": stored}, indent=1) + "\n"
        write_atomically(run / ENERGIES_FILE, text.encode())
    table = np.array([stored[str(iteration)] for iteration, _ in chosen], dtype=np.float64)
    iterations = np.array([iteration for iteration, _ in chosen], dtype=np.float64)
    seconds = np.array([seconds_at(rows, iteration) for iteration, _ in chosen])
    return Measured(seconds, iterations, table[..., 0], table[..., 1], float(table[-1, :, 2].max()))


def measure_checkpoint(
    config: Config, path: Path, label: str, sampling: Sampling, progress: Callable[[float], None] | None
) -> list[tuple[float, float, float]]:
    """Energies of the averaged parameters in a checkpoint, on fresh chains at every λ."""
    model = checkpoint_model(config, path, label)
    rows = []
    for index, lam in enumerate(sampling.lam):
        seed = chain_seed(sampling.seed, config.train.seed, label, index)

        def part(fraction: float, index: int = index) -> None:
            if progress is not None:
                progress((index + fraction) / len(sampling.lam))

        result = model.at(lam, extrapolate=True).energy(
            sampling.samples, walkers=sampling.walkers, seed=seed, progress=part
        )
        rows.append((result.energy.value, result.energy.error, result.rhat))
    return rows


def checkpoint_model(config: Config, path: Path, label: str) -> Model:
    """The averaged parameters in a checkpoint as a model."""
    import jax.numpy as jnp

    from qernel.measure import Model
    from qernel.training.checkpoint import averaged_parameters
    from qernel.training.run import initial_wavefunction
    from qernel.wavefunction import parameter_layout

    template = initial_wavefunction(config, start=False)
    average = jnp.asarray(averaged_parameters(path))
    return Model(label, config, parameter_layout(template).rebuild(average))


def chain_seed(seed: int, training_seed: int, label: str, index: int) -> int:
    """A seed of chains that are independent of those of other models, training seeds and λ."""
    keys = [seed, training_seed, zlib.crc32(label.encode()), index]
    return int(np.random.SeedSequence(keys).generate_state(1)[0]) >> 1


def _stored(path: Path, request: Any) -> dict[str, Any]:
    """Energies measured before in the same way, by iteration."""
    try:
        content = read_json(path)
        energies = dict(content["energies"]) if content["request"] == request else {}
        shape = (len(request["lam"]), 3)
        return energies if all(np.shape(rows) == shape for rows in energies.values()) else {}
    except (RunError, ValueError, LookupError, TypeError):  # then they are measured again
        return {}

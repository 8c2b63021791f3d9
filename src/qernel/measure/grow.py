"""A new run from a model on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qernel.config import Config, load_config
from qernel.measure.library import load
from qernel.measure.model import Model
from qernel.outputs import refuse_occupied
from qernel.training.grow import Grown, start_from


def grow(
    source: str | Path | Model,
    config: str | Path | Config | Mapping[str, Any],
    out: str | Path,
    *,
    determinant: int | None = None,
) -> Grown:
    """Start a run from the network of a trained model, for other orbitals, another cut-off or more blocks.

    ``qernel.train(config, out, resume=True)`` goes on from there. Walkers are not taken over: they start anew.

    Args:
        source: a model, a run folder, or the name of a shipped model.
        config: of the new run: a configuration, a TOML file or preset, or its sections as a mapping.
        out: the run folder to write.
        determinant: see `qernel.training.grow.start_from`.

    Returns:
        The folder, and how close to the model the run starts.

    Raises:
        ConfigError: if the configuration cannot be used, or has no room for the network.
        RunError: if there is no such model, or the folder holds something.

    >>> import qernel
    >>> larger = ["model.blocks=4", "model.conditioning_width=16", "family.lam=[0.15, 1.85]"]
    >>> found = qernel.grow("n6", qernel.load_config("n6", larger), "runs/larger")
    >>> found.word, round(found.deviation, 5)
    ('the same function', 0.0)
    """
    settings = config if isinstance(config, Config) else load_config(config)
    # Before the model is read, and in words of work that has no --resume.
    refuse_occupied(Path(out))
    model = source if isinstance(source, Model) else load(source)
    return start_from(model.wavefunction, model.config, settings, Path(out), determinant=determinant)

"""Whether a model is of a size that can be trained at all, from its shapes: nothing of it is made."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qernel.config import Config, ModelConfig
from qernel.config.sections.systems import MaybeSystems
from qernel.errors import RunError
from qernel.estimators.memory import available_memory
from qernel.wavefunction import Wavefunction, outline

_VECTORS = 3
"""Vectors of all parameters that surely exist at once: the parameters, their average, a direction."""

_SIZES = (
    *("experts", "determinants", "blocks", "width", "expert_width", "shared_width", "mlp_width"),
    *("conditioning_width", "bloch_cutoff", "bloch_order", "hf_cutoff", "hf_order"),
)
"""[model] keys that parameters grow with."""


_MATTERS = 0.9
"""What is left of the parameters when a key that they depend on is halved, at most."""


def shapes(config: Config, **changes: Any) -> Wavefunction:
    """The wavefunction of a configuration without its numbers, with changes of ``[model]`` (`outline`)."""
    model = config.model.model_copy(update=changes)
    return outline(model, config.hamiltonian(), dtype=jnp.dtype(config.train.precision))


def numbers(wavefunction: Wavefunction) -> int:
    """All real numbers of a wavefunction, trainable or not."""
    return sum(leaf.size for leaf in jax.tree.leaves(wavefunction))


def score_rows(config: Config) -> int:
    """Rows in the natural-gradient problem of the only system of a configuration."""
    return config.train.groups * config.train.walkers * (2 if config.is_complex else 1)


def walkers_in_words(config: Config) -> str:
    """Groups and walkers of every system, such as "8×32 + 8×16"."""
    return " + ".join(f"{one.train.groups}×{one.train.walkers}" for one in config.members)


def least_memory(config: Config, parameters: int) -> float:
    """Bytes on the devices of this process below which no iteration is possible.

    Args:
        config: what to train.
        parameters: how many numbers the wavefunction has.
    """
    train = config.train
    rows = sum(score_rows(one) for one in config.members) / jax.process_count()
    return jnp.dtype(train.precision).itemsize * parameters * (_VECTORS * jax.local_device_count() + rows)


def require_memory(config: Config) -> None:
    """Refuse a model that cannot be trained on this machine, before anything is made.

    Raises:
        RunError: if its parameters and their derivatives for every walker alone take more memory than there is.
    """
    parameters, available = numbers(shapes(config)), available_memory()
    need = least_memory(config, parameters)
    if available is not None and need > available:
        raise RunError(
            f"not enough memory: {parameters:,} parameters and their derivatives for "
            f"{walkers_in_words(config)} walkers take at least {need / 1e9:.3g} GB of the "
            f"{available / 1e9:.3g} GB there are: {remedy(config, need, available)}"
        )


def remedy(config: Config, need: float, available: float) -> str:
    """What would bring the bytes a configuration needs below those there are: fewer walkers, or a smaller model.

    Args:
        config: that does not fit.
        need: bytes.
        available: bytes.
    """
    train, parameters = config.train, numbers(shapes(config))
    fewest = {
        "train": train.model_copy(update={"groups": 1, "walkers": 2 * jax.device_count()}),
        "family": config.family.model_copy(update={"systems": _as_first(config.family.systems)}),
    }
    saved = least_memory(config, parameters) - least_memory(config.model_copy(update=fewest), parameters)
    if need - saved <= available:
        return "fewer train.groups or train.walkers need less"
    model, usual = config.model, ModelConfig()
    excess = {
        key: getattr(model, key) / getattr(usual, key)
        for key in _SIZES
        if numbers(shapes(config, **{key: _halved(getattr(model, key))})) < _MATTERS * parameters
    }
    if not excess:
        return "fewer walkers are not enough: use a smaller model or fewer electrons"
    key = max(excess, key=lambda name: excess[name])
    return f"fewer walkers are not enough, give a smaller model.{key} than {getattr(model, key):g}"


def _as_first(systems: MaybeSystems) -> MaybeSystems:
    """Further systems with the groups and walkers of the first."""
    return systems and tuple(one.model_copy(update={"groups": None, "walkers": None}) for one in systems)


def _halved(value: float) -> float:
    return max(1, value // 2) if isinstance(value, int) else 0.5 * value

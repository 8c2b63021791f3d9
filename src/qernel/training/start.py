"""Runs that begin with the weights of a trained model: which can, and what their configuration takes over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp

from qernel.config import Config
from qernel.config.checks import READERS
from qernel.config.explain import clean, show
from qernel.config.orbitals import FOLLOWING, following
from qernel.config.sections import range_keys
from qernel.errors import ConfigError, RunError
from qernel.wavefunction import Wavefunction, build
from qernel.wavefunction.inherit import inherited
from qernel.wavefunction.registry import UNIVERSAL

_FREE = ("expert_balance", *FOLLOWING.values())
"""[model] keys that may differ: what they change is no weight, or seen by its shape."""


class Start(NamedTuple):
    """A trained wavefunction that a run begins with.

    Attributes:
        name: of its model.
        digest: SHA-256 (hex) of its weights.
        config: what made it.
        wavefunction: the ansatz with its numbers.
    """

    name: str
    digest: str
    config: Config
    wavefunction: Wavefunction

    @property
    def origin(self) -> str:
        """As ``train.started_from`` has it."""
        return f"{clean(self.name, 200)} sha256:{self.digest}"

    def taken_over(self, config: Config) -> Config:
        """The configuration of a run that begins with these weights.

        It has ``train.started_from``, ``family.scaled_over`` where its intervals are others than those that the
        weights know, so that ψ is the same function of every parameter, and their ``[model]`` if it gives none.

        Raises:
            ConfigError: if the weights do not fit it.
        """
        if "model" not in config.model_fields_set:
            config = Config.model_validate(config.to_dict() | {"model": self.config.to_dict()["model"]})
        problem = next(self._misfits(config), None)
        if problem is not None:
            raise ConfigError(problem)
        ranges = config.family.ranges
        scales = {name: scale for name, scale in self._scales(config).items() if scale != ranges[name]}
        given = config.family.scaled_over
        if given is not None and given != scales:
            raise ConfigError(
                f"family.scaled_over = {show(given)} is not what the weights of {self.name} know: leave it out "
                "(--set family.scaled_over=none)"
            )
        table = config.to_dict()
        table["family"] |= {"scaled_over": {name: list(scale) for name, scale in scales.items()}}
        table["train"] |= {"started_from": self.origin}
        return Config.model_validate(table)

    def _misfits(self, config: Config) -> Iterator[str]:
        old, new = self.config, config
        sections = ["model"] if old.model.ansatz in UNIVERSAL else ["model", "system"]
        for section in sections:
            for key, before, after in _differences(old, new, section):
                where = f"{section}.{key} = {show(after)}, and {self.name} was trained with {show(before)}"
                if section == "model":
                    yield f"{where}: weights belong to one architecture, give the same, or no section [model]"
                yield f"{where}: only weights of a universal ansatz serve another system; give the same"
        for name in old.family.ranges:
            if name not in new.family.ranges:
                middle = old.hamiltonian().origin[name]
                yield (
                    f"{self.name} is conditioned on {name}: give family.{name} an interval, e.g. "
                    f"{[middle, middle]} for one value"
                )

    def _scales(self, config: Config) -> dict[str, tuple[float, float]]:
        """What the weights take each parameter relative to; of those that they do not know, about their old value."""
        hamiltonian, scales = self.wavefunction.hamiltonian, {}
        known = dict(zip(hamiltonian.parameters, hamiltonian.scales, strict=True))
        for name, (low, high) in config.family.ranges.items():
            start, end = known.get(name, (low, low))
            if start < end:
                scales[name] = (start, end)
            elif name in hamiltonian.constants and low < high:
                value = hamiltonian.constants[name]
                reach = max(value - low, high - value)
                scales[name] = (value - reach, value + reach)
            else:
                scales[name] = (low, high)
        return scales

    def begun(self, config: Config) -> Wavefunction:
        """The wavefunction of a configuration that `taken_over` made, with these weights.

        Raises:
            ConfigError: if they do not fit.
        """
        hamiltonian = config.hamiltonian()
        template = build(config.model, hamiltonian, dtype=jnp.dtype(config.train.precision), start=False)
        try:
            return inherited(self.wavefunction, template)
        except ValueError as error:
            raise ConfigError(self._other_arrays(config, error)) from error

    def _other_arrays(self, config: Config, error: ValueError) -> str:
        key = following(config)
        if key is not None and config.model.ansatz not in UNIVERSAL:
            return (
                f"the orbitals of {self.name} do not follow what [family] has intervals of as closely as model.{key} = "
                f"{getattr(config.model, key)} asks: give {key} = 1, or what it was trained with"
            )
        if config.model.ansatz in UNIVERSAL:
            kind = "two spin species" if self.config.system.electrons[1] else "polarised electrons"
            return f"system.electrons = {show(config.system.electrons)}: the weights of {self.name} are for {kind}"
        return f"the weights of {self.name} do not fit: {error}"

    def sentence(self, config: Config) -> str:
        """What a run begins with."""
        known = self.wavefunction.hamiltonian
        varied = [name for name, (low, high) in zip(known.parameters, known.scales, strict=True) if low < high]
        added = [name for name, (low, high) in config.family.ranges.items() if low < high and name not in varied]
        new = f", which do not depend on {' and '.join(added)} yet" if added else ""
        return f"to begin with the weights of {self.name}, SHA-256 {self.digest[:12]}…{new}"


def require_no_origin(config: Config) -> None:
    """A run without a start must not say that it had one.

    Raises:
        RunError: if it would.
    """
    if config.train.started_from is not None:
        raise RunError(
            f"train.started_from = {show(config.train.started_from)} belongs to a run that began with a model: start "
            "this one from it too (--from MODEL), or leave the key out (--set train.started_from=none)"
        )


def _differences(old: Config, new: Config, section: str) -> Iterator[tuple[str, object, object]]:
    """Keys that make other weights, with both values; ``ansatz`` before all others."""
    before, after = (config.to_dict()[section] for config in (old, new))
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key) and _counts(key, old, new):
            yield key, before.get(key), after.get(key)


def _counts(key: str, old: Config, new: Config) -> bool:
    ansatz = old.model.ansatz
    if key in READERS and ansatz not in READERS[key]:
        return False
    if key in ("twist", "twist_along"):
        return old.system.reduced_twist != new.system.reduced_twist
    if key in range_keys() and (key in old.family.ranges or key in new.family.ranges):
        return False
    return key not in _FREE and not (key == "complex" and ansatz in UNIVERSAL)

"""What is compared, and that it is trained alike: configurations may differ in [model] and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from qernel.config import Config
from qernel.config.checks import READERS
from qernel.config.sections import UNCOUNTED
from qernel.errors import QernelError

SIZE_KEYS = (
    "width",
    "blocks",
    "heads",
    "experts",
    "active_experts",
    "expert_width",
    "shared_width",
    "mlp_width",
    "conditioning_width",
)
"""[model] keys in which models of one ansatz may differ and still lie on one curve."""

UNLIMITED = 100_000_000
"""Iterations of a run that only its budget of seconds ends."""


class Entry(NamedTuple):
    """One model of a comparison: a label that is also a folder, the series of models it belongs to, what to train."""

    label: str
    series: str
    config: Config


class Budget(NamedTuple):
    """When training ends: after so many iterations, or so many seconds of stepping without compilation."""

    iterations: int
    seconds: float | None


def require_one_system(label: str, config: Config) -> None:
    """Refuse a run in several systems: energies and costs of one are compared.

    Raises:
        QernelError: if there are several.
    """
    if len(config.systems) > 1:
        raise QernelError(
            f"{label} has family.systems, and models are compared in one system: leave them out "
            "(--set family.systems=none)"
        )


def check_equal(
    configs: Sequence[tuple[str, Config]], allowed: Sequence[str] = (), counted: Sequence[str] = ()
) -> None:
    """Refuse configurations that differ in anything but [model].

    Args:
        configs: label and configuration of each.
        allowed: keys (``section.key``) that may differ.
        counted: keys that the comparison sets itself: their values do not matter.

    Raises:
        QernelError: naming every key that differs, with both values, or an allowed key that does not exist.
    """
    for label, config in configs:
        require_one_system(label, config)
    first_label, first = configs[0]
    tables = [(label, _conditions(config, (*allowed, *counted))) for label, config in configs]
    known = {f"{section}.{key}" for section, model in _sections(first) for key in type(model).model_fields}
    for key in allowed:
        if key not in known:
            raise QernelError(f"--allow {key}: there is no such key outside [model], give e.g. train.learning_rate")
        if key.startswith("system."):
            raise QernelError(f"--allow {key}: energies of different systems cannot be compared, leave it out")
    differences = [
        f"{key} = {tables[0][1].get(key)!r} in {first_label} and {table.get(key)!r} in {label}"
        for label, table in tables[1:]
        for key in sorted({*tables[0][1], *table})
        if tables[0][1].get(key) != table.get(key)
    ]
    if differences:
        keys = " ".join(dict.fromkeys(difference.partition(" ")[0] for difference in differences))
        raise QernelError(
            f"the conditions differ: {'; '.join(differences)}: make them equal, or accept it with --allow {keys}"
        )


def entries(configs: Sequence[tuple[str, Config]]) -> list[Entry]:
    """Labels that are unique, and series: models that differ in `SIZE_KEYS` alone.

    Raises:
        QernelError: if two models are the same, or have the same name.
    """
    result: list[Entry] = []
    shapes = [_shape(config) for _, config in configs]
    distinct = list({_hashed(shape): shape for shape in shapes}.values())
    for (label, config), shape in zip(configs, shapes, strict=True):
        for other in result:
            if other.label == label:
                raise QernelError(f"two configurations are called {label!r}: give each its own name = '...'")
            if _read(other.config) == _read(config):
                raise QernelError(f"{other.label} and {label} are the same model: leave one of them out")
        result.append(Entry(label, _series(shape, distinct), config))
    return result


def budgeted(config: Config, seed: int, budget: Budget) -> Config:
    """What is trained for one seed: checkpoints are kept, to be measured as points of the learning curve."""
    train: dict[str, Any] = {"seed": seed, "iterations": budget.iterations, "time_limit_s": None}
    train["keep_checkpoints"] = 1_000_000
    return config.model_copy(update={"train": config.train.model_copy(update=train)})


def _sections(config: Config) -> list[tuple[str, Any]]:
    return [(name, getattr(config, name)) for name in ("system", "family", "train", "sample")]


def _conditions(config: Config, without: Sequence[str]) -> dict[str, Any]:
    """Everything that has to be equal, as ``section.key`` → value."""
    data = config.to_dict()
    ignored = {"train.seed", *without, *(f"{section}.{key}" for section, keys in UNCOUNTED.items() for key in keys)}
    table = {f"{section}.{key}": value for section, _ in _sections(config) for key, value in data[section].items()}
    return {key: value for key, value in table.items() if key not in ignored}


def _read(config: Config) -> dict[str, Any]:
    """The [model] keys that the ansatz reads."""
    model = config.to_dict()["model"]
    return {key: value for key, value in model.items() if model["ansatz"] in READERS.get(key, (model["ansatz"],))}


def _shape(config: Config) -> dict[str, Any]:
    return {key: value for key, value in _read(config).items() if key not in SIZE_KEYS}


def _hashed(shape: dict[str, Any]) -> str:
    return repr(sorted(shape.items()))


def _series(shape: dict[str, Any], shapes: Sequence[dict[str, Any]]) -> str:
    """The ansatz, with whatever sets it apart from most other series of the same ansatz, or from the only other one."""
    same = [other for other in shapes if other["ansatz"] == shape["ansatz"]]

    def usual(key: str) -> bool:
        return 2 * sum(other.get(key) == shape[key] for other in same) > len(same)

    apart = [key for key in shape if not usual(key)]
    words = ", ".join(f"{key} = {str(shape[key]).lower()}" for key in apart)
    return f"{shape['ansatz']} ({words})" if words else str(shape["ansatz"])

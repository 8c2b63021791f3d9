"""Answers of ``qernel query`` that are kept, and found when the same is asked again.

RUN/query/*.json for a run; for a shipped model a folder of the user's cache, where nothing is kept with
``QERNEL_CACHE=off``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import qernel
from qernel import outputs, runtime
from qernel.errors import RunError, warn
from qernel.estimators.quantity import Quantity
from qernel.measure.energies import DIAGNOSTICS, ENERGIES, ORDER, STORED, Energies
from qernel.measure.place import alone_in, known
from qernel.records import read_json, to_record

if TYPE_CHECKING:
    from qernel.measure.shelf import Shelf

FOLDER = "query"


class Chains(NamedTuple):
    """How much was sampled.

    Attributes:
        samples: records per chain.
        walkers: chains.
        seed: of the chains.
    """

    samples: int
    walkers: int
    seed: int

    def __str__(self) -> str:
        return f"{self.samples} records of {self.walkers} chains, seed {self.seed}"


def folder_of(model: Shelf) -> Path | None:
    """Where answers of a model are kept; None where they are not."""
    from qernel.measure.shelf import models_folder

    if model.folder is not None and not model.folder.is_relative_to(models_folder()):
        return model.folder / FOLDER
    cache = runtime.cache_folder()
    return None if cache is None else cache / "answers" / model.weights[:16]


def keep(model: Shelf, answer: Energies, chains: Chains) -> bool:
    """Keep an answer; where that cannot be done, nothing is said or lost. Returns whether it is kept."""
    folder = folder_of(model)
    if folder is None:
        return False
    request = {**_system(model), "values": dict(answer.values), "chains": chains._asdict()}
    name = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:20]
    numbers = {name: getattr(answer, name) for name in (*ENERGIES, ORDER)}
    record = {
        "qernel": qernel.__version__,
        "model": model.name,
        **request,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "units": "energies per electron in E0",
        "answer": answer.as_row(),
        "variance": answer.variance,
        "doubts": {name: list(number.doubts) for name, number in numbers.items() if number is not None},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        outputs.write_text(folder / f"{name}.json", to_record(record, indent=2) + "\n")
    except (OSError, RunError):
        return False
    return True


def kept(model: Shelf, values: Mapping[str, float]) -> Iterator[tuple[Chains, Energies]]:
    """The answers kept at a point of a model, and how much was sampled for each."""
    folder = folder_of(model)
    if folder is None or not folder.is_dir():
        return
    ours = json.loads(json.dumps(_system(model)))
    for path in sorted(folder.glob("*.json")):
        try:
            record = read_json(path)
            system = {name: record[name] for name in ours}
            if system == ours and _same(record["values"], values):
                yield Chains(**record["chains"]), _restored(model, record, path)
        except RunError as error:
            warn(str(error))
        except (LookupError, TypeError, ValueError) as error:
            warn(f"{path} is no answer of qernel query: {error}")


def _system(model: Shelf) -> dict[str, Any]:
    """Which weights in which system, and of which phase if of one alone."""
    system, phase = model.config.system, alone_in(model)
    about: dict[str, Any] = {
        "electrons": system.electrons,
        "supercell": system.supercell,
        "twist": system.reduced_twist,
    }
    about |= {"phase": phase} if phase else {}
    return {"weights": model.weights, "system": about}


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    near = (math.isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-12) for name in other if name in one)
    return set(one) == set(other) and all(near)


def _restored(model: Shelf, record: Mapping[str, Any], path: Path) -> Energies:
    row, unit = record["answer"], model.config.energy_unit_meV
    chains = Chains(**record["chains"])
    source = f"stored in {path}, {chains}"

    def quantity(name: str, what: str = "E0", meV: float | None = unit) -> Quantity:
        return Quantity(row[name]["value"], row[name]["error"], what, source, meV, tuple(record["doubts"][name]))

    def number(value: Any) -> float:
        return math.nan if value is None else float(value)

    parts: dict[str, Any] = {name: quantity(name) for name in ENERGIES}
    trained = known(model)
    told: dict[str, Any] = {name: number(row[name]) for name in DIAGNOSTICS}
    return Energies(
        lam=float(row["lam"]),
        **parts,
        **told,
        variance=number(record["variance"]),
        extrapolating=bool(row["extrapolating"]),
        order_parameter=None if row[ORDER] is None else quantity(ORDER, "", None),
        order_parameter_rhat=number(row[f"{ORDER}_rhat"]),
        in_gap=bool(row["in_gap"]),
        impossible=str(row["impossible"]),
        values={name: float(value) for name, value in record["values"].items()},
        size_trained=trained.size,
        twist_trained=trained.twist,
        phase=str(row["phase"]),
        phase_why=str(row["phase_why"]),
        origin=STORED,
        source=source,
    )

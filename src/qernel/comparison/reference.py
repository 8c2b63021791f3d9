"""Energies that accuracy is measured against: exact tables in JSON, CSV or NetCDF."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qernel.config import Config
from qernel.errors import QernelError, RunError
from qernel.files import regular
from qernel.integrity import PARTS, check_row
from qernel.lattice import FloatArray
from qernel.records import parse_json

_CELLS = {"sqrt3": 3, "3x3": 9}
_TOLERANCE = 1e-6
_USUAL = {"potential": "moire", "interaction": "coulomb"}


class Reference(NamedTuple):
    """Energies per electron in E0.

    Attributes:
        energy: at every λ of the comparison ``[L]``.
        error: uncertainty of each ``[L]``.
        source: where they come from, for people.
        exact: whether they come from a table; otherwise they are the lowest found.
    """

    energy: FloatArray
    error: FloatArray
    source: str
    exact: bool


class Row(NamedTuple):
    """λ, energy per electron in E0, its uncertainty."""

    lam: float
    energy: float
    error: float


def read_rows(path: Path, config: Config) -> list[Row]:
    """A table of energies of the system of a configuration, one row (the lowest energy) for each λ.

    Understood are the files of ``studies/exact`` (``cases`` with ``lam`` and energies per electron, or with
    ``electrons`` and ``V`` and total energies), what ``qernel scan`` writes, and CSV with the columns
    ``lam,energy,energy_error``.

    Raises:
        RunError: if it cannot be read, is something else, or holds no energies of this system.
    """
    try:
        if path.suffix == ".nc":
            rows = list(_netcdf(path, config))
        elif path.suffix == ".csv":
            rows = list(_csv(path))
        else:
            rows = list(_json(parse_json(path), path, config))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, csv.Error, RecursionError) as error:
        raise RunError(
            f"{path} is no table of energies ({type(error).__name__}: {error}): give a file like "
            "studies/exact/six_electrons.json, a CSV with columns lam,energy,energy_error, or energies.nc of a scan"
        ) from error
    faulty = [row for row in rows if not np.isfinite(row).all() or row.error < 0]
    if not rows or faulty:
        what = f"a row that makes no sense, {tuple(faulty[0])}" if faulty else "no energies of this system"
        raise RunError(f"{path} holds {what}: check its number of electrons, cell, U and phase")
    lowest: dict[float, Row] = {}
    for row in rows:
        key = round(row.lam, 9)
        if key not in lowest or row.energy < lowest[key].energy:
            lowest[key] = row
    return sorted(lowest.values())


def at(rows: Sequence[Row], lam: Sequence[float], path: Path) -> Reference:
    """The rows at given λ; a table is not interpolated.

    Raises:
        QernelError: naming the λ that it does not have.
    """
    table = {round(row.lam, 9): row for row in rows}
    missing = [value for value in lam if round(value, 9) not in table]
    if missing:
        there = " ".join(f"{row.lam:g}" for row in rows)
        raise QernelError(
            f"--reference {path} has no energy at λ = {', '.join(f'{value:g}' for value in missing)}: "
            f"choose --lam from {there}"
        )
    chosen = [table[round(value, 9)] for value in lam]
    energy, error = (np.array([getattr(row, name) for row in chosen]) for name in ("energy", "error"))
    return Reference(energy, error, str(path.name), exact=True)


def _json(content: Any, path: Path, config: Config) -> Iterator[Row]:
    if "results" in content:
        _same_count(content["system"]["electrons"], config, path)
        for row in content["results"]:
            if all(name in row for name in PARTS):
                check_row(path, row)
            yield Row(float(row["lam"]), float(row["energy"]["value"]), float(row["energy"]["error"]))
        return
    stated = re.search(r"\bN = (\d+)", content.get("units", ""))
    if stated:
        _same_count(int(stated[1]), config, path)
    for case in content["cases"]:
        if "lam" in case:
            if "per electron" not in content["units"]:
                raise ValueError("units must say 'per electron' where cases have lam")
            yield Row(float(case["lam"]), float(case["energy"]), float(case["uncertainty"]))
        elif _is_system(case, config):
            count, depth = config.system.count, config.hamiltonian().constants["V0"]
            yield Row(case["V"] / depth, case["energy"] / count, case["uncertainty"] / count)


def _is_system(case: Mapping[str, Any], config: Config) -> bool:
    """Whether a case of total energies belongs to the polarised system of a configuration."""
    family, system = config.hamiltonian(), config.system
    here = {name: value for name, value in family.described({}).items() if name != "V0"}
    if any(case.get(kind, usual) != getattr(system, kind) for kind, usual in _USUAL.items()) or set(here) - set(case):
        return False
    alike = np.allclose([case[name] for name in here], list(here.values()), rtol=_TOLERANCE, atol=0)
    same = (case["electrons"], 0) == config.system.electrons and _CELLS[case["cell"]] == config.system.cells
    return bool(alike and same and not family.twisted)


def _same_count(electrons: Any, config: Config, path: Path) -> None:
    count = sum(electrons) if isinstance(electrons, list) else int(electrons)
    if count != config.system.count:
        raise RunError(f"{path} is a table for {count} electrons, and the models have {config.system.count}")


def _csv(path: Path) -> Iterator[Row]:
    with regular(path).open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            yield Row(float(row["lam"]), float(row["energy"]), float(row["energy_error"]))


def _netcdf(path: Path, config: Config) -> Iterator[Row]:
    from qernel.storage import open

    data = open(path)
    if "electrons_up" in data.attrs:
        _same_count([int(data.attrs["electrons_up"]), int(data.attrs["electrons_down"])], config, path)
    points = data if "lam" in data.dims else data.expand_dims("lam")
    columns = (points[name].values for name in ("lam", "energy", "energy_error"))
    for row in zip(*columns, strict=True):
        yield Row(*(float(value) for value in row))

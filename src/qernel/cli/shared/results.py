"""Measuring a model at several λ, and the results as the JSON object that scripts depend on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.cli.shared.progress import PartsProgress
from qernel.errors import QernelError
from qernel.estimators.doubts import listed, sentences
from qernel.storage import IMPOSSIBLE

if TYPE_CHECKING:
    from qernel.config import Config
    from qernel.estimators.chains import Record
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.lattice import FloatArray
    from qernel.measure import Energies, Model, State

ENERGIES = ("energy", "kinetic", "moire", "interaction")
"""Per electron in E0, with error bars."""

DIAGNOSTICS = ("acceptance", "autocorrelation", "rhat", "effective_samples")

ORDER = "order_parameter"
"""⟨|ρ_K|²⟩ of the same samples, where K is a wave vector of the supercell."""

SWAPS_LIMIT = 0.05
"""Accepted fraction of swaps between two λ below which hardly any configuration passes."""


NO_ANSWER = 2
"""Exit code where energies are impossible: the user can train, or ask, otherwise."""


class Measured(NamedTuple):
    """Energies in increasing λ for each kind of chains, and the accepted fraction of swaps between neighbours."""

    sweeps: dict[str, list[Energies]]
    swaps: FloatArray | None


def measure(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[Energies]:
    """Energies at each λ with the sampling settings of the command, and warnings about them."""
    return measure_sweeps(model, points, options, ["fresh"]).sweeps["fresh"]


def measure_sweeps(
    model: Model,
    points: Sequence[float],
    options: argparse.Namespace,
    sweeps: Sequence[str],
    keep: Callable[[State, Sequence[Record], int], None] | None = None,
) -> Measured:
    """The same for chains that start fresh at each λ, for those carried up or down, and for those that are swapped.

    Args:
        model: the trained wavefunction.
        points: λ, increasing unless all chains are fresh.
        options: ``samples``, ``walkers``, ``seed``, ``at``.
        sweeps: of ``fresh``, ``up``, ``down``; or ``exchange`` alone.
        keep: called with each state, its records and their seed, for the first of the sweeps.
    """
    states = states_at(model, points, options)
    settings: dict[str, Any] = {"walkers": options.walkers, "seed": options.seed}
    results: dict[str, list[Energies]] = {}
    swaps = None
    with PartsProgress(1 if "exchange" in sweeps else len(states) * len(sweeps)) as progress:

        def begin(lam: float, last: float | None = None) -> None:
            progress.begin(f"measuring λ = {lam:g}" + ("" if last is None else f" to {last:g} together"))

        for sweep in sweeps:
            kept: dict[str, Any] = {"keep": keep if sweep == sweeps[0] else None, "progress": progress}
            if sweep == "fresh":
                results[sweep] = []
                for state in states:
                    begin(state.lam)
                    results[sweep].append(state.energy(options.samples, **settings, **kept))
            elif sweep == "exchange":
                from qernel.measure.replicas import exchanged

                begin(states[0].lam, states[-1].lam)
                results[sweep], swaps = exchanged(states, samples=options.samples, **settings, **kept)
            else:
                from qernel.measure.sweeps import carried

                kept["begin"] = begin
                results[sweep] = carried(states, sweep, samples=options.samples, **settings, **kept)
    _warn(results, swaps)
    return Measured(results, swaps)


def _warn(results: Mapping[str, Sequence[Energies]], swaps: FloatArray | None) -> None:
    """Warnings about error bars that may be too small, and about swaps."""
    measured = [result for rows in results.values() for result in rows]
    for sentence in sentences((name, one.lam, why) for one in measured for name, why in doubted(one).items()):
        warn(sentence)
    lams = [result.lam for result in results.get("exchange", [])]
    pairs = zip(lams, lams[1:], () if swaps is None else swaps.tolist(), strict=False)
    few = [f"{low:g} and {high:g} ({value:.1%})" for low, high, value in pairs if value < SWAPS_LIMIT]
    if few:
        warn(
            f"less than {SWAPS_LIMIT:.0%} of the swaps are accepted between λ = {'; '.join(few)}: "
            "take values of λ closer together there"
        )


def doubted(result: Energies) -> dict[str, tuple[str, ...]]:
    """The numbers whose error bars may be too small, and why."""
    numbers = {name: getattr(result, name) for name in (*ENERGIES, ORDER)}
    return {name: number.doubts for name, number in numbers.items() if number is not None and number.doubts}


def refused(found: Mapping[float, str]) -> int:
    """The exit code of a measurement; numbers that are no answer are said on standard error.

    Args:
        found: why the energies at each λ are impossible; empty where they are not.
    """
    worst = [lam for lam, why in found.items() if why]
    if not worst:
        return 0
    print(
        f"qernel: error: what was measured at λ = {listed(worst)} is no answer: at λ = {worst[0]:g} {found[worst[0]]}; "
        "the model has diverged, or is asked too far from where it was trained: train it with a lower "
        "train.learning_rate, or ask at other λ",
        file=sys.stderr,
        flush=True,
    )
    return NO_ANSWER


def reached(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[State]:
    """The states at each λ without a word about them, for commands to ask before they make a folder.

    Raises:
        RunError: for those far outside the trained range, unless ``--extrapolate`` is given.
    """
    others: dict[str, Any] = other_parameters(model, options.at)
    far = {"extrapolate": True} if options.extrapolate else {}
    return [model.at(lam, **others, **far) for lam in points]


def states_at(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[State]:
    """The states at each λ, and a warning about those outside the trained range.

    Raises:
        RunError: see `reached`.
    """
    if model.training is not None and not model.training.complete:
        warn(f"{model.name} {model.training.sentence}")
    states = reached(model, points, options)
    outside = [state.lam for state in states if state.extrapolating]
    if outside:
        warn(f"extrapolating at λ = {listed(outside)}: the model was trained on {_interval(model)}")
    between = [state.lam for state in states if state.in_gap]
    if between:
        warn(f"λ = {listed(between)} in a gap of the training: the model was trained on {_interval(model)}")
    return states


def other_parameters(model: Model, assignments: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The values of all parameters but λ: those given with ``--at``, else the middle of the trained interval."""
    middle = {name: value for name, value in model.hamiltonian.middle.items() if name != "lam"}
    names = list(middle)
    for name, _ in assignments:
        if name not in names:
            known = f"its other parameters are {', '.join(names)}" if names else "λ is its only parameter"
            raise QernelError(f"--at {name}: {model.name} is not conditioned on {name}, {known}")
    return middle | dict(assignments)


def payload(model: Model, results: Sequence[Energies], others: Mapping[str, float]) -> dict[str, Any]:
    """The object printed by ``--json``."""
    return {**system_of(model, others), "results": [row(result) for result in results]}


def system_of(model: Model, others: Mapping[str, float]) -> dict[str, Any]:
    """What was measured: the system and the model."""
    about = {"name": model.name, "parameters": model.parameters}
    about |= {"training": model.training.as_dict()} if model.training is not None else {}
    return {"system": system(model.config, model.hamiltonian, others), "model": about}


def system(config: Config, hamiltonian: Hamiltonian, others: Mapping[str, float]) -> dict[str, Any]:
    """The electrons and forces that results are for."""
    up, down = config.system.electrons
    twist = {"supercell": config.system.supercell, "twist": hamiltonian.row_twist} if hamiltonian.twisted else {}
    return {
        "electrons": [up, down] if down else up,
        "cells": config.system.cells,
        **twist,
        **hamiltonian.described(others),
        "energy_unit_meV": config.energy_unit_meV,
    }


def row(result: Energies) -> dict[str, Any]:
    """One λ; energies and order parameter as ``{"value", "error"}`` per electron in E0."""
    return {
        "lam": result.lam,
        **{name: getattr(result, name).as_dict() for name in ENERGIES},
        **{name: float(getattr(result, name)) for name in DIAGNOSTICS},
        "extrapolating": bool(result.extrapolating),
        "in_gap": bool(result.in_gap),
        ORDER: None if result.order_parameter is None else result.order_parameter.as_dict(),
        f"{ORDER}_rhat": float(result.order_parameter_rhat),
        "direction": result.direction,
        "warnings": [f"{name}: {reason}" for name, reasons in doubted(result).items() for reason in reasons],
        IMPOSSIBLE: result.impossible,
    }


def warn(sentence: str) -> None:
    """A warning on standard error."""
    print(f"qernel: warning: {sentence}", file=sys.stderr, flush=True)


def intervals(parts: Sequence[tuple[float, float]]) -> str:
    """Intervals of λ, for a sentence.

    >>> intervals([(0.4, 0.7), (0.9, 1.4)])
    '[0.4, 0.7] and [0.9, 1.4]'
    """
    return " and ".join(f"[{low:g}, {high:g}]" for low, high in parts)


def _interval(model: Model) -> str:
    low, high = model.ranges["lam"]
    parts = [f"λ in {intervals(model.hamiltonian.parts)}" if low < high else f"λ = {low:g} alone"]
    parts += [f"{name} in [{a:g}, {b:g}]" for name, (a, b) in model.ranges.items() if name != "lam"]
    return " and ".join(parts)

"""Relations between the systems that one wavefunction is trained in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from qernel.config.checks.problem import CELL_KEYS, Problem
from qernel.config.checks.system import usable
from qernel.config.systems import same
from qernel.wavefunction.registry import UNIVERSAL

if TYPE_CHECKING:
    from qernel.config.schema import Config

_KEY = "family.systems"


def among(first: Sequence[Problem], others: Sequence[Sequence[Problem]]) -> Iterator[Problem]:
    """Problems that a further system has and [system] has not, with the entry they are in.

    Args:
        first: problems of [system].
        others: those of every entry of [[family.systems]], found as if it were the system.
    """
    known = {problem.text for problem in first}
    for number, found in enumerate(others, 1):
        for problem in found:
            if problem.text not in known:
                yield Problem((_KEY, *problem.keys), f"{_KEY}, entry {number}: {problem.text}")


def together(config: Config) -> Iterator[Problem]:
    """An ansatz whose weights fit all systems, and no system twice."""
    if not config.family.systems:
        return
    if config.model.ansatz not in UNIVERSAL:
        yield Problem(
            (_KEY, "model.ansatz"),
            f"{_KEY} trains the same weights in several systems, and those of model.ansatz = '{config.model.ansatz}' "
            f"belong to one: use ansatz = '{UNIVERSAL[0]}', or leave the systems out",
        )
    systems = list(enumerate(config.systems))
    keys = (_KEY, *CELL_KEYS, "system.twist", "system.twist_along")
    for number, system in systems[1:]:
        if bool(system.electrons[1]) != bool(config.system.electrons[1]):
            yield Problem(
                keys,
                f"{_KEY}, entry {number}: electrons = {list(system.electrons)} and system.electrons = "
                f"{list(config.system.electrons)}, and one set of weights is either for polarised electrons or for two "
                "spin species: give systems of one kind",
            )
    if not all(usable(one) for one in config.members):
        return
    for (first, one), (second, other) in combinations(systems, 2):
        if same(one, other):
            what = f"entry {first} of it" if first else "[system]"
            yield Problem(
                keys,
                f"{_KEY}, entry {second} is the same system as {what} ({other.label}): leave it out, or give it other "
                "electrons, another supercell or another twist",
            )

"""Relations between values of [train] and [sample], and what they ask of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qernel.config.checks.model import crystallises
from qernel.config.checks.problem import CELL_KEYS, Problem

if TYPE_CHECKING:
    from qernel.config.schema import Config


def exchange(config: Config) -> Iterator[Problem]:
    """Swaps between λ groups need two of them."""
    if config.train.exchange and config.train.groups < 2:
        yield Problem(
            ("train.exchange", "train.groups"),
            f"train.exchange = {config.train.exchange} swaps walkers between λ groups, and train.groups = 1: "
            "use exchange = 0, or more groups",
        )


def implicit(config: Config) -> Iterator[Problem]:
    """A Laplacian that can be differentiated: through rules of folx, derivatives by parameters come out wrong."""
    if config.train.implicit and config.train.laplacian == "folx":
        yield Problem(
            ("train.implicit", "train.laplacian"),
            f"train.implicit = {config.train.implicit:g} differentiates local energies, which train.laplacian = 'folx' "
            "does not allow: use laplacian = 'forward'",
        )


def focus(config: Config) -> Iterator[Problem]:
    """A focus inside the range of λ, and groups inside and outside of it."""
    focus, (low, high), groups = config.train.focus, config.family.lam, config.train.groups
    if focus is None:
        return
    least = 3 + len(config.family.gaps or ())
    if not low <= focus[0] < focus[1] <= high:
        yield Problem(
            ("train.focus", "family.lam"),
            f"train.focus = {list(focus)} must be an interval inside family.lam = {[low, high]}",
        )
    elif groups < least:
        yield Problem(
            ("train.focus", "train.groups"),
            f"train.groups = {groups} is too small for a train.focus, which divides the range of λ: give at least "
            f"groups = {least}",
        )


def starts(config: Config) -> Iterator[Problem]:
    """Crystals to start from that fit the supercell."""
    system = config.system
    for section in ("train", "sample"):
        start = getattr(config, section).crystal_from
        if start is not None and not crystallises(config):
            yield Problem(
                (f"{section}.crystal_from", *CELL_KEYS),
                f"{section}.crystal_from = {start:g} needs filling 1/3 or 2/3 of a triangular supercell that holds the "
                f"√3×√3 crystal; here electrons = {list(system.electrons)} in {system.cells} cells: leave it out, "
                f"or what a preset gives with --set {section}.crystal_from=none",
            )
    train = config.train
    if train.spread_until is not None and (train.crystal_from is None or train.spread_until < train.crystal_from):
        yield Problem(
            ("train.spread_until", "train.crystal_from"),
            f"train.spread_until = {train.spread_until:g} needs crystals from a smaller λ on, and train.crystal_from = "
            f"{train.crystal_from}: set train.crystal_from below it, or leave train.spread_until out "
            "(--set train.spread_until=none)",
        )

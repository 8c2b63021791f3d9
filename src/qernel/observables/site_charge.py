"""How the electrons share out the moiré sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.lattice import FloatArray
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged
from qernel.observables.sites import site_index


@dataclass(frozen=True)
class SiteCharge(Observable):
    """Electrons in the Wigner–Seitz cell of each moiré lattice point, and how their number fluctuates.

    The mean charges of a finite system are equal by translation symmetry; a crystal shows in the fluctuation and in
    the probability of holding no or several electrons, which are averages over sites.
    """

    name: ClassVar[str] = "site_charge"
    summary: ClassVar[str] = "electrons on each moiré site, their fluctuation, empty and doubly occupied sites"

    def measure(self, samples: Samples) -> list[Variable]:
        """Charge of each site, and site averages."""
        cell = samples.hamiltonian.supercell
        occupied = site_numbers(samples, samples.positions)
        centres = cell.translations
        labels = [
            Coordinate("site_x", ("site",), centres[:, 0], "a_M", "x of the moiré site"),
            Coordinate("site_y", ("site",), centres[:, 1], "a_M", "y of the moiré site"),
        ]
        per_stretch = np.stack([occupied[:, records].mean(1) for records in samples.stretches], axis=1)
        filling = samples.count / cell.cells
        result = [
            averaged("site_charge", per_stretch, "1", "electrons on each moiré site", ("site",), labels),
            averaged(
                "site_fluctuation",
                ((occupied - filling) ** 2).mean(-1),
                "1",
                "<(n - N/cells)^2> of the number n of electrons on a moiré site, averaged over sites",
            ),
            averaged("empty_sites", (occupied == 0).mean(-1), "1", "probability that a moiré site is empty"),
            averaged("crowded_sites", (occupied > 1).mean(-1), "1", "probability of two or more electrons on a site"),
        ]
        if len(samples.species) > 1:
            up, down = (site_numbers(samples, samples.positions[:, :, part]) for part in samples.species.values())
            moment = ((up - down) ** 2).mean(-1)
            result.append(averaged("local_moment", moment, "1", "<(n_up - n_down)^2> of a site, averaged over sites"))
        return result


def site_numbers(samples: Samples, positions: FloatArray) -> FloatArray:
    """Electrons on each site in every configuration, ``[chains, samples, sites]``."""
    sites = samples.hamiltonian.supercell.cells
    index = site_index(positions, samples.hamiltonian.supercell)
    chains, records = index.shape[:2]
    rows = np.arange(chains * records).reshape(chains, records, 1) * sites
    flat = np.bincount((rows + index).ravel(), minlength=chains * records * sites)
    return flat.reshape(chains, records, sites).astype(np.float64)

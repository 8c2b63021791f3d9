"""What is worth a sentence before a long training: plane waves that a sharp potential needs and does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qernel.config import Config

TOLERATED = 0.02
"""E0 per electron by which orbitals may begin above those of all plane waves: a tenth of what Hartree–Fock misses in
the crystal, and training has more than that to gain."""

_STEP, _LARGEST = 1.25, 3000.0


def cutoff_doubt(config: Config) -> str:
    """A sentence where ``model.bloch_cutoff`` is too low for the potential at its deepest; else empty (imports JAX).

    Args:
        config: of a model, whose orbitals need not be Bloch functions.
    """
    from qernel.config.orbitals import kind_of_orbitals
    from qernel.hamiltonian.bands import cutoff_error

    if kind_of_orbitals(config) != "bloch":
        return ""
    hamiltonian, cutoff = config.hamiltonian(), config.model.bloch_cutoff
    point, states = np.array([high for _, high in hamiltonian.ranges]), max(config.system.electrons)
    error = cutoff_error(hamiltonian, point, states, cutoff)
    if error <= TOLERATED:
        return ""
    enough = cutoff
    while enough < _LARGEST and cutoff_error(hamiltonian, point, states, enough) > TOLERATED:
        enough *= _STEP
    return (
        f"model.bloch_cutoff = {cutoff:g} is low for this potential: orbitals begin {error:.2g} E0 per electron above "
        f"those of all plane waves at λ = {point[0]:g}, which training has to make up for; give about {enough:.0f}"
    )

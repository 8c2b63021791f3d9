"""The chains of a measurement as a tree of data sets, in the groups and axes that ArviZ expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import qernel
from qernel.estimators.order_parameter import crystal_order
from qernel.lattice import holds_root_three
from qernel.measure.energies import ENERGIES, ORDER
from qernel.provenance import model_attributes

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure.state import State


def tree(state: State, records: Sequence[Record], seed: int) -> xarray.DataTree:
    """What the chains of a state have recorded.

    Args:
        state: that was sampled.
        records: with local energies, one for each draw.
        seed: they were drawn with.

    Returns:
        Groups with the axes ``chain`` and ``draw``: ``posterior`` (drawn from |ψ|²) has the local energy per electron
        in E0, ``energy`` and its parts, and ``order_parameter`` where K is a wave vector of the supercell;
        ``sample_stats`` the accepted fraction of Gaussian moves, ``acceptance_rate``, of each record. ArviZ takes the
        tree as it is: ``arviz_stats.summary(tree)``.
    """
    import xarray

    count, cell = state.model.hamiltonian.count, state.model.hamiltonian.supercell
    series = {name: np.stack([getattr(one, name) for one in records], axis=1) / count for name in ENERGIES[1:]}
    series = {ENERGIES[0]: series["kinetic"] + series["moire"] + series["interaction"], **series}
    about: dict[str, Any] = {"units": "E0", "long_name": "local energy per electron, or its part"}
    drawn = {name: (("chain", "draw"), values, about) for name, values in series.items()}
    if holds_root_three(cell):
        order = np.stack([crystal_order(one.positions, cell) for one in records], axis=1)
        drawn[ORDER] = (("chain", "draw"), order, {"units": "1", "long_name": "|rho_K|^2"})
    chains, draws = series["energy"].shape
    axes = {"chain": np.arange(chains), "draw": np.arange(draws)}
    accepted = np.stack([np.broadcast_to(one.acceptance, chains) for one in records], axis=1)
    stats = {"acceptance_rate": (("chain", "draw"), accepted, {"units": "1", "long_name": "accepted Gaussian moves"})}
    origin = model_attributes(state.model, state.values) | {
        "inference_library": "qernel",
        "inference_library_version": qernel.__version__,
        "seed": seed,
        **state.values,
    }
    groups = {"posterior": drawn, "sample_stats": stats}
    return xarray.DataTree.from_dict({name: xarray.Dataset(data, axes, origin) for name, data in groups.items()})

"""Nothing that is computed for each walker changes the type of an array unasked.

Complex ψ mixes real and complex arrays on purpose and is left out, as are other people's optimisers and Laplacians.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from ansatz_cases import CASES, Case
from qernel.estimators.batched import walker_functions
from qernel.training.system import centred_system
from qernel.wavefunction import build, parameter_layout

GROUPS, WALKERS = 2, 3


@pytest.mark.parametrize("case", [case for case in CASES if case.system != "twisted"], ids=str)
def test_single_precision_is_left_only_where_it_is_said(case: Case) -> None:
    family = case.hamiltonian
    template = build(case.model, family, key=jax.random.key(0), dtype=jnp.float32)
    functions = walker_functions(template, laplacian="forward")
    parameters = jax.ShapeDtypeStruct(parameter_layout(template)[0].shape, jnp.float32)
    positions = jax.ShapeDtypeStruct((GROUPS, WALKERS, family.count, 2), jnp.float32)
    points = jax.ShapeDtypeStruct((GROUPS, len(family.ranges)), jnp.float32)
    with jax.numpy_dtype_promotion("strict"):
        modulus = jax.eval_shape(functions.log_modulus, parameters, positions, points)
        energies = jax.eval_shape(functions.local_energy, parameters, positions, points)
        scores = jax.eval_shape(functions.scores, parameters, positions, points)
        system = partial(centred_system, clip=5.0, balance=0.5)
        rows, residuals, *_ = jax.eval_shape(system, energies.kinetic, scores)
    for found in (modulus, *jax.tree.leaves(energies), scores, rows, residuals):
        assert found.dtype == jnp.float32

"""Nothing that is computed for each walker changes the type of an array unasked; complex ψ keeps its precision."""

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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision_is_left_only_where_it_is_said(case: Case) -> None:
    family = case.hamiltonian
    template = build(case.model, family, key=jax.random.key(0), dtype=jnp.float32)
    functions = walker_functions(template, laplacian="forward")
    parameters = jax.ShapeDtypeStruct(parameter_layout(template)[0].shape, jnp.float32)
    positions = jax.ShapeDtypeStruct((GROUPS, WALKERS, family.count, 2), jnp.float32)
    points = jax.ShapeDtypeStruct((GROUPS, len(family.ranges)), jnp.float32)
    modulus = jax.eval_shape(functions.log_modulus, parameters, positions, points)
    energies = jax.eval_shape(functions.local_energy, parameters, positions, points)
    scores = jax.eval_shape(functions.scores, parameters, positions, points)
    rows, residuals, *_ = jax.eval_shape(partial(centred_system, clip=5.0, balance=0.5), energies.kinetic, scores)
    assert energies.kinetic.dtype == (jnp.complex64 if case.system == "twisted" else jnp.float32)
    for found in (modulus, energies.moire, energies.interaction, energies.gradient_kinetic, scores, rows, residuals):
        assert found.dtype == jnp.float32


@pytest.mark.parametrize("types", [("float32", "float64"), ("float32", "complex128"), ("int64", "float64")])
def test_types_that_may_not_meet_are_refused_here(types: tuple[str, str]) -> None:
    """What holds all tests of this file, and of all others but `conftest.LENIENT`, to one type."""
    one, other = (jnp.ones(2, kind) for kind in types)
    with pytest.raises(jax.dtypes.TypePromotionError):
        one * other
    assert (jnp.ones(2, jnp.float32) * jnp.ones(2, jnp.complex64)).dtype == jnp.complex64

"""The rules of what an electron gathers from its neighbours: D_i = Σ_j f(r_i − r_j) g_j.

f depends on two electrons, so that ∂_k f_ij is zero but for k = i, j. For g = 1 the whole jet costs N²; for features g
of the neighbours its derivatives are f times those of g, one product, and two rows more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Jet, Operand, from_parts


class PairFunctions(NamedTuple):
    """M functions f of all pairs d = r_i − r_j, with their derivatives by d; what is on the diagonal is a constant.

    Attributes:
        values: ``[M, N, N]``.
        slopes: ∂f/∂d ``[2, M, N, N]``, zero on the diagonal.
        curvatures: ∇²f ``[M, N, N]``, zero on the diagonal.
    """

    values: Array
    slopes: Array
    curvatures: Array

    def chosen(self, which: slice) -> PairFunctions:
        """Some of the functions."""
        return PairFunctions(self.values[which], self.slopes[:, which], self.curvatures[which])


def gathered(functions: PairFunctions, *, carried: bool) -> Any:
    """Σ_j f(r_i − r_j), ``[N, M]``; a dense `Jet` if derivatives are ``carried``."""
    value = functions.values.sum(-1).T
    if not carried:
        return value
    slopes = jnp.einsum("amij->jaim", functions.slopes)
    own = jnp.eye(len(value), dtype=value.dtype)[:, None, :, None]
    # r_i moves d by as much as r_j moves it back.
    jacobian = own * functions.slopes.sum(-1).transpose(0, 2, 1) - slopes
    laplacian = 2.0 * functions.curvatures.sum(-1).T
    return from_parts(value, jacobian.reshape(-1, *value.shape), laplacian)


def messages(functions: PairFunctions, features: Operand) -> Any:
    """Σ_j f(r_i − r_j) g_j of features g ``[N, c]``, as ``[N, M, c]``; a dense `Jet` for a dense jet.

    With the slopes f' by r_i: ∂_k D_i = Σ_j f_ij ∂_k g_j + δ_ik Σ_j f'_ij g_j − f'_ik g_k, and
    ΔD_i = Σ_j f_ij Δg_j + 2 Σ_j ∇²f_ij g_j + 2 Σ_j f'_ij·(∂_i − ∂_j) g_j.
    """
    if not isinstance(features, Jet):
        return jnp.einsum("mij,jc->imc", functions.values, features)
    data = features.dense().data
    total, count, width = data.shape
    functions_count = len(functions.values)
    flat = functions.values.reshape(-1, count) @ data.transpose(1, 0, 2).reshape(count, total * width)
    carried = flat.reshape(functions_count, count, total, width).transpose(2, 1, 0, 3)
    value, jacobian = data[0], data[1:-1].reshape(count, 2, count, width)
    moved = jnp.einsum("amij,jc->ajimc", functions.slopes, value)
    own = jnp.eye(count, dtype=value.dtype)[:, None, :, None, None]
    rows = own * moved.sum(1) - jnp.moveaxis(moved, 0, 1)
    change = jacobian - jnp.einsum("jajc->ajc", jacobian)
    bent = jnp.einsum("mij,jc->imc", functions.curvatures, value)
    bent = bent + jnp.einsum("amij,iajc->imc", functions.slopes, change)
    return from_parts(
        carried[0], carried[1:-1] + rows.reshape(2 * count, count, functions_count, width), carried[-1] + 2.0 * bent
    )

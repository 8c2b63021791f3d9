"""The rules of what is computed of numbers that an electron has of its own: y_i = F(b_i), b_i of few entries.

By the chain rule ∂_t y = Σ_a ∂_aF ∂_t b_a and Δy = Σ_a ∂_aF Δb_a + Σ_ab g_ab ∂_a∂_bF with g_ab = Σ_t ∂_t b_a ∂_t b_b.
However many y there are, and whatever leads to them, their 2N derivatives need not be formed: what reads them folds its
weights into ∂_aF first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.expansion import Curved, composed, curved, metric
from qernel.laplacian.jet import Jet, from_parts


class Own(NamedTuple):
    """Functions of numbers of one electron, for all electrons.

    Attributes:
        functions: by the numbers, ``[N, ...]``.
        numbers: the dense jet of ``[N, B]``.
    """

    functions: Curved
    numbers: Jet

    def mapped(self, linear: Callable[[Array], Array]) -> Own:
        """A linear map, of ``[..., N, m]``, of the functions."""
        return Own(Curved(*(linear(part) for part in self.functions)), self.numbers)

    def carried(self) -> Jet:
        """With all their derivatives: the dense jet of ``[N, ...]``."""
        return composed(self.functions, self.numbers)

    def weighted(self, amounts: Jet) -> Jet:
        """Σ_v F_v a_v of functions ``[N, x, v]`` and a dense jet of amounts ``[N, v]``: ``[N, x]``."""
        (value, gradient, curvature), numbers = self
        slopes = jnp.einsum("bixv,iv->ibx", gradient, amounts.value)
        changes = jnp.einsum("tib,ibx->tix", numbers.data[1:], slopes)
        changes = changes + jnp.einsum("tiv,ixv->tix", amounts.data[1:], value)
        both = jnp.einsum("tib,tiv->ibv", numbers.jacobian, amounts.jacobian)
        bent = jnp.einsum("ixv,iv->ix", curvature, amounts.value) + 2.0 * jnp.einsum("bixv,ibv->ix", gradient, both)
        return from_parts(jnp.einsum("ixv,iv->ix", value, amounts.value), changes[:-1], changes[-1] + bent)


def own(function: Callable[[Array], Any], numbers: Jet) -> Any:
    """Functions of the numbers of each electron.

    Args:
        function: ``[B, N]`` → a pytree of arrays ``[..., N]``, each electron by itself.
        numbers: a dense jet of ``[N, B]``.

    Returns:
        The pytree with an `Own`, ``[N, ...]``, for each array.
    """
    found = curved(function, numbers.value, metric(numbers))
    return jax.tree.map(lambda part: Own(part, numbers), found, is_leaf=lambda part: isinstance(part, Curved))

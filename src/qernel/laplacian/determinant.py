"""The rules of determinants: log det of a matrix, and of the orbitals a network reads out.

`readout_log_det` never forms the derivatives of the N×N orbital matrix. With M = B∘(hW + b) and
U_i = W diag(B_i) M⁻¹, the product ∂_tM M⁻¹ that gradient and Laplacian need is ∂_t h_i·U_i: one matrix product.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.expansion import Displaced, metric
from qernel.laplacian.factors import inverted, slogdet
from qernel.laplacian.jet import Jet, Operand, contract, owned


class Factors(NamedTuple):
    """Sign and logarithm of det M, as in `log_det`, and M⁻¹ ``[..., j, i]``."""

    sign: Array
    log: Array
    inverse: Array


def log_det(matrix: Operand) -> tuple[Array, Any]:
    """Sign (or phase) and logarithm of determinants.

    For complex matrices the logarithm is complex with its phase moved into it, and the sign is 1.
    With X_t = ∂_tM M⁻¹: ∂_t log det M = tr X_t and Δ log det M = tr(ΔM M⁻¹) − Σ_t tr(X_t X_t).

    Args:
        matrix: ``[N, ..., N]``, electrons first, orbitals last.
    """
    if not isinstance(matrix, Jet):
        return _sign_and_log(jnp.asarray(matrix))
    factors = factorise(matrix.value)
    sign, log, inverse = factors
    if matrix.owners is None:
        return _assemble(factors, *_traces(jnp.einsum("ti...j,...jk->t...ik", matrix.data[1:], inverse)))
    # Only row i depends on r_i: X_t has one non-zero row, and its trace is all there is.
    rows = jnp.einsum("ti...j,...ji->ti...", matrix.data[1:], inverse)
    own = owned(matrix.owners, matrix.shape[0]).astype(matrix.dtype)
    gradient = jnp.einsum("mi,ai...->ma...", own, rows[:2]).reshape(-1, *log.shape)
    squares = (rows[:2] ** 2).sum((0, 1))
    return sign, Jet(jnp.concatenate([log[None], gradient, (rows[2].sum(0) - squares)[None]]))


def readout_log_det(
    features: Operand, weights: Array, bias: Array, basis: Operand | Displaced | None
) -> tuple[Array, Any]:
    """log det of M_ij = B_ij (h_i·W_j + b_j) for several determinants.

    Args:
        features: h, ``[n, c]`` for the n electrons of one spin species.
        weights: W, ``[D, c, n]``, real or complex.
        bias: b, ``[D, n]``.
        basis: B, ``[n, D, n]`` with electrons first: fixed or one-electron orbitals, or displaced ones (then the
            features are a dense jet). None means 1.

    Returns:
        Signs ``[D]`` and logarithms ``[D]``, as in `log_det`.
    """
    if isinstance(features, Jet) and features.owners is None:
        readout = jnp.einsum("nc,dcj->ndj", features.value, weights) + bias
        if basis is None:
            return _readout(features, weights, readout)
        if isinstance(basis, Displaced):
            return _displaced_readout(features, weights, readout, basis)
        if isinstance(basis, Jet) and basis.owners is not None:
            return _dressed_readout(features, weights, readout, basis)
    assert not isinstance(basis, Displaced)
    matrix = contract("nc,dcj->ndj", features, weights) + bias
    return log_det(matrix if basis is None else matrix * basis)


def _readout(features: Jet, weights: Array, matrix: Array) -> tuple[Array, Jet]:
    """∂_tM M⁻¹ = ∂_t h U with U = W M⁻¹."""
    factors = factorise(matrix)
    folded = weights @ factors.inverse
    traces, squares = zip(*[_traces(_times(features.data[1:], u)) for u in folded], strict=True)
    return _assemble(factors, jnp.stack(traces, axis=1), jnp.stack(squares))


def _dressed_readout(features: Jet, weights: Array, readout: Array, basis: Jet) -> tuple[Array, Jet]:
    """The same with U_i = W diag(B_i) M⁻¹, plus what the derivatives of B_i(r_i) add to row i."""
    factors = factorise(basis.value * readout)
    inverse = factors.inverse
    dressed = jnp.swapaxes(basis.value, 0, 1)[:, :, None] * weights[:, None]
    folded = dressed @ inverse[:, None]
    relative = jnp.einsum("tic,dick->tdik", features.data[1:], folded)
    assert basis.owners is not None
    own = owned(basis.owners, basis.shape[0]).astype(features.dtype)
    slope = jnp.einsum("aidj,idj,djk->adik", basis.jacobian, readout, inverse)
    total, count = own.shape
    own_relative = own[:, None, None, :, None] * slope
    relative = relative.at[:-1].add(own_relative.reshape(2 * total, *slope.shape[1:]))
    own_features = jnp.einsum("mi,maic->aic", own, features.jacobian.reshape(total, 2, count, -1))
    mixed = 2.0 * jnp.einsum("aidj,aic,dcj->idj", basis.jacobian, own_features, weights)
    curvature = jnp.einsum("idj,dji->d", mixed + basis.laplacian * readout, inverse)
    return _assemble(factors, *_traces(relative), curvature)


def _displaced_readout(features: Jet, weights: Array, readout: Array, basis: Displaced) -> tuple[Array, Jet]:
    """The same where the coordinates x_i, like h_i, depend on all electrons: two more columns beside h_i.

    What is left of the second derivatives is ∂²M/∂x² and ∂²M/∂x∂h, each times a sum over directions.
    """
    (value, gradient, hessian), x = basis
    factors = factorise(value * readout)
    inverse = factors.inverse
    read = jnp.swapaxes(value, 0, 1)[:, :, None] * weights[:, None]
    moved = jnp.moveaxis(gradient * readout, (2, 1, 0), (0, 1, 2))
    folded = jnp.concatenate([read, moved.astype(read.dtype)], axis=2) @ inverse[:, None]
    columns = jnp.concatenate([features.data, x.data], axis=-1)
    if columns.shape[-1] <= _FEW:
        traces = _traces_of_few(columns[1:], folded)
    else:
        traces = _traces(jnp.einsum("tic,dick->tdik", columns[1:], folded))
    mixed = jnp.einsum("tia,tic->aic", x.jacobian, features.jacobian)
    second = jnp.einsum("abidj,abi->idj", hessian, metric(x)) * readout
    second = second + 2.0 * jnp.einsum("aidj,aic,dcj->idj", gradient, mixed, weights)
    return _assemble(factors, *traces, jnp.einsum("idj,dji->d", second, inverse))


def _times(real: Array, matrix: Array) -> Array:
    """A real array times a real or complex matrix: the parts of the matrix one by one, not a complex product."""
    if jnp.iscomplexobj(matrix):
        return jax.lax.complex(real @ matrix.real, real @ matrix.imag)
    return real @ matrix


def _traces(relative: Array) -> tuple[Array, Array]:
    """tr X_t ``[T + 1, ...]`` of X_t = ∂_tM M⁻¹ ``[T + 1, ..., N, N]``, the last row ΔM M⁻¹, and Σ_t tr X_t X_t.

    XLA on a CPU sums over several axes at once, or over a mask of the diagonal, one element after the other.
    """
    size = relative.shape[-1]
    diagonal = relative.reshape(*relative.shape[:-2], size * size)[..., :: size + 1]
    products = relative[:-1] * jnp.swapaxes(relative[:-1], -1, -2)
    over_directions = jax.lax.optimization_barrier(products.sum(0))
    return diagonal.sum(-1), over_directions.sum((-1, -2))


_FEW = 8
"""Columns up to which products of their derivatives are cheaper than X_t: c N² numbers a column, not T N²."""


def _traces_of_few(columns: Array, folded: Array) -> tuple[Array, Array]:
    """`_traces` of X_t = Σ_c ∂_t q_ic U_ick without any X_t, for few columns q.

    tr X_t = Σ_ic ∂_t q_ic U_ici and Σ_t tr X_t X_t = Σ_ik Σ_cb (Σ_t ∂_t q_ic ∂_t q_kb) U_ick U_kbi: one product of
    the derivatives with themselves, for all determinants.

    Args:
        columns: ∂_t q, and Δq as the last row, ``[T + 1, n, c]``.
        folded: U ``[D, n, c, n]``.
    """
    count, width = columns.shape[1:]
    flat = columns.reshape(-1, count * width)
    diagonal = jnp.einsum("dici->dic", folded).reshape(-1, count * width)
    metric = (flat[:-1].T @ flat[:-1]).reshape(count, width, count, width)
    passed = (metric * folded[..., None]).sum(2)
    return _times(flat, diagonal.T), (passed * folded.transpose(0, 3, 1, 2)).sum((1, 2, 3))


def _assemble(factors: Factors, traces: Array, squares: Array, curvature: Array | float = 0.0) -> tuple[Array, Jet]:
    """The jet of log det from `_traces` and what its last row, ΔM M⁻¹, lacks."""
    sign, log, _ = factors
    laplacian = traces[-1] + curvature - squares
    return sign, Jet(jnp.concatenate([log[None], traces[:-1], laplacian[None]]))


def _sign_and_log(matrix: Array) -> tuple[Array, Array]:
    return _phased(*slogdet(jnp.moveaxis(matrix, 0, -2)))


def _phased(sign: Array, log: Array) -> tuple[Array, Array]:
    """A phase becomes the imaginary part of the logarithm; a real sign stays."""
    if jnp.iscomplexobj(sign):
        log = log + jnp.log(sign)
        sign = jnp.ones_like(log)
    return sign, log


def factorise(matrix: Array) -> Factors:
    """Sign, log |det M| and M⁻¹ ``[..., j, i]`` of M ``[i, ..., j]``, all finite (`qernel.laplacian.factors`)."""
    sign, log, inverse = inverted(jnp.moveaxis(matrix, 0, -2))
    return Factors(*_phased(sign, log), inverse)

"""The rule of softmax attention: messages o_i = Σ_j w_ij v_j with w_ij = softmax_j(q_i·k_j).

Composed from `contract` and `softmax` it would carry every ∂_t w_ij through memory several times. Here the scores'
derivatives are formed, used and forgotten a few query electrons at a time, and where queries, keys and values still
depend on one electron each, the Jacobian has a closed form that costs N² instead of N³.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Jet

CACHED = 2**16
"""Derivatives of scores handled at once: as many query electrons as keep them in the cache of one core."""


def attend(query: Jet | Array, key: Jet | Array, value: Jet | Array) -> Any:
    """Messages to every electron, from three jets or from three arrays.

    Args:
        query: ``[N, K, G, d]``: G query heads for each of K key/value heads.
        key: ``[N, K, d]``.
        value: ``[N, K, d]``.

    Returns:
        ``[N, K, G, d]``, a `Jet` if the arguments are.
    """
    if not isinstance(query, Jet):
        weights = jax.nn.softmax(jnp.einsum("ikgd,jkd->ikgj", query, key), axis=-1)
        return jnp.einsum("ikgj,jkd->ikgd", weights, value)
    assert isinstance(key, Jet) and isinstance(value, Jet), "attend takes three jets or three arrays"
    jets = (query, key, value)
    unmet = all(jet.owners == (0, jet.shape[0]) for jet in jets)
    rule = _first if unmet else _later
    q, k, v = (jet.data if unmet else jet.dense().data for jet in jets)
    # One key/value head after the other: a batch axis for them would take the matrix products apart.
    heads = [rule(q[:, :, head], k[:, :, head], v[:, :, head]) for head in range(k.shape[2])]
    return Jet(jnp.stack(heads, axis=2))


def _weights(query: Array, key: Array) -> Array:
    return jax.nn.softmax(jnp.einsum("igd,jd->igj", query, key), axis=-1)


def _mean(weights: Array, quantity: Array) -> Array:
    return (weights * quantity).sum(-1, keepdims=True)


def _later(query: Array, key: Array, value: Array) -> Array:
    """Dense jets ``[T + 2, N, G, d]``, ``[T + 2, N, d]``.

    With S_t = ∂_t s and m_t = Σ_j w S_t its mean: ∂_t o = Σ_j w S_t v + w ∂_t v − m_t o and
    Δo = Σ_j Δw v + w Δv + 2 Σ_t (w S_t ∂_t v − m_t w ∂_t v), where Δw = w(D − ⟨D⟩) with
    D = Δs + Σ_t (S_t − m_t)². For a group of query electrons each term is one matrix product with all keys or values,
    and m_t comes with the product that gives Σ_j w S_t v.
    """
    total, n, groups, size = query.shape
    rows = total - 2
    # A shift common to all keys does not change the weights; without it S_t − m_t loses no digits.
    key = key - key.mean(1, keepdims=True)
    key_columns = key[1:-1].transpose(2, 0, 1).reshape(size, rows * n)
    key_rows = key[1:-1].transpose(0, 2, 1).reshape(rows * size, n)
    value_rows = value[1:-1].reshape(rows * n, size)
    value_columns = value.transpose(1, 0, 2).reshape(n, total * size)
    value_one = jnp.concatenate([value[0], jnp.ones_like(value[0, :, :1])], axis=1)

    def messages(query: Array) -> Array:
        """The jets ``[m, G, T + 2, d]`` of some query electrons → their messages ``[m, T + 2, G d]``."""
        jets = query.reshape(-1, total, size)
        plain, first, last = jets[:, 0], jets[:, 1:-1], jets[:, -1]
        weights = jax.nn.softmax(plain @ key[0].T, axis=-1)
        mean_value = (weights @ value_columns).reshape(-1, total, size)
        scores = (first.reshape(-1, size) @ key[0].T).reshape(-1, rows, n) + (plain @ key_columns).reshape(-1, rows, n)
        change = weights[:, None] * scores
        with_mean = (change.reshape(-1, n) @ value_one).reshape(-1, rows, size + 1)
        mean_score = with_mean[..., size:]
        gradient = with_mean[..., :size] + mean_value[:, 1:-1] - mean_score * mean_value[:, :1]
        drift = last @ key[0].T + plain @ key[-1].T + 2.0 * first.reshape(-1, rows * size) @ key_rows
        drift = drift + (scores * (scores - 2.0 * mean_score)).sum(1) + (mean_score**2).sum(1)
        drift = weights * (drift - _mean(weights, drift))
        cross = change.reshape(-1, rows * n) @ value_rows - (mean_score * mean_value[:, 1:-1]).sum(1)
        laplacian = drift @ value[0] + mean_value[:, -1] + 2.0 * cross
        jets = jnp.concatenate([mean_value[:, :1], gradient, laplacian[:, None]], axis=1)
        return jets.reshape(-1, groups, total, size).transpose(0, 2, 1, 3).reshape(-1, total, groups * size)

    group = max(1, CACHED // (groups * rows * n))
    by_electron = query.transpose(1, 2, 0, 3)
    if group >= n:
        result = messages(by_electron)
    else:
        whole = n - n % group
        blocks = by_electron[:whole].reshape(-1, group, *by_electron.shape[1:])
        result = jax.lax.map(messages, blocks).reshape(whole, total, groups * size)
        if whole < n:
            result = jnp.concatenate([result, messages(by_electron[whole:])])
    return result.transpose(1, 0, 2).reshape(total, n, groups, size)


def _first(query: Array, key: Array, value: Array) -> Array:
    """Local jets ``[4, N, G, d]``, ``[4, N, d]`` → dense jet ``[2N + 2, N, G, d]``.

    With P_a,ij = ∂_a q_i·k_j, Q_a,ij = q_i·∂_a k_j, A = P − ⟨P⟩ and R = wQ (index a: own coordinates),
    ∂o_i/∂r_m,a = w_im [Q_a,im (v_m − o_i) + ∂_a v_m] + δ_im Σ_j w_ij A_a,ij v_j, and the Laplacian of the
    weights follows from Σ_m,a (δ_im A_ij + δ_jm Q_ij − R_im)².
    """
    n, groups, size = query.shape[1:]
    weights = _weights(query[0], key[0])
    message = jnp.einsum("igj,jd->igd", weights, value[0])
    own = jnp.eye(n, dtype=query.dtype)
    dq, dk, dv = query[1:3], key[1:3], value[1:3]
    through_query = jnp.einsum("aigd,jd->aigj", dq, key[0])
    through_key = jnp.einsum("igd,ajd->aigj", query[0], dk)
    centred = through_query - _mean(weights, through_query)
    spread = weights * through_key

    others = (
        jnp.einsum("aigm,md->maigd", spread, value[0])
        - jnp.einsum("aigm,igd->maigd", spread, message)
        + jnp.einsum("igm,amd->maigd", weights, dv)
    )
    itself = jnp.einsum("aigj,jd->aigd", weights * centred, value[0])
    first = others + own[:, None, :, None, None] * itself

    diagonal = own[:, None, :]
    spread_own = jnp.einsum("aigi->aig", spread)[..., None]
    squares = (
        centred**2
        + through_key**2
        + (spread**2).sum(-1, keepdims=True)
        + 2.0 * diagonal * centred * through_key
        - 2.0 * centred * spread_own
        - 2.0 * through_key * spread
    ).sum(0)
    drift = (
        jnp.einsum("igd,jd->igj", query[3], key[0])
        + jnp.einsum("igd,jd->igj", query[0], key[3])
        + 2.0 * diagonal * jnp.einsum("aigd,aid->ig", dq, dk)[..., None]
        + squares
    )
    drift = weights * (drift - _mean(weights, drift))
    cross = jnp.einsum("aigj,ajd->igd", weights * (through_key - spread + diagonal * centred), dv)
    last = jnp.einsum("igj,jd->igd", drift, value[0]) + jnp.einsum("igj,jd->igd", weights, value[3]) + 2.0 * cross
    return jnp.concatenate([message[None], first.reshape(2 * n, n, groups, size), last[None]])

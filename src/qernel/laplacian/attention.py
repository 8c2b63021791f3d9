"""The rule of softmax attention: messages o_i = Σ_j w_ij v_j with w_ij = softmax_j(q_i·k_j).

Composed from `contract` and `softmax` it would carry every ∂_t w_ij through memory several times. Here the scores'
derivatives are formed, used and forgotten a few directions at a time, and where queries, keys and values still
depend on one electron each, the Jacobian has a closed form that costs N² instead of N³.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Jet

CACHED = 2**16
"""Derivatives of scores handled at once: as many directions as keep them in the cache of one core."""


def attend(query: Jet | Array, key: Jet | Array, value: Jet | Array) -> Any:
    """Messages to every electron, from three jets or from three arrays.

    Args:
        query: ``[N, K, G, d]``: G query heads for each of K key/value heads.
        key: ``[N, K, d]``.
        value: ``[N, K, d]``.

    Returns:
        ``[N, K G d]``, the heads side by side; a `Jet` if the arguments are.
    """
    if not isinstance(query, Jet):
        weights = jax.nn.softmax(jnp.einsum("ikgd,jkd->ikgj", query, key), axis=-1)
        return jnp.einsum("ikgj,jkd->ikgd", weights, value).reshape(len(query), -1)
    assert isinstance(key, Jet) and isinstance(value, Jet), "attend takes three jets or three arrays"
    jets = (query, key, value)
    unmet = all(jet.owners == (0, jet.shape[0]) for jet in jets)
    rule = _first if unmet else _later
    q, k, v = (jet.data if unmet else jet.dense().data for jet in jets)
    # One key/value head after the other: a batch axis for them would take the matrix products apart.
    heads = [rule(q[:, :, head], k[:, :, head], v[:, :, head]) for head in range(k.shape[2])]
    messages = jnp.stack(heads, axis=2)
    return Jet(messages.reshape(*messages.shape[:2], -1))


def _weights(query: Array, key: Array) -> Array:
    return jax.nn.softmax(jnp.einsum("igd,jd->igj", query, key), axis=-1)


def _mean(weights: Array, quantity: Array) -> Array:
    return (weights * quantity).sum(-1, keepdims=True)


def _later(query: Array, key: Array, value: Array) -> Array:
    """Dense jets ``[T + 2, N, G, d]``, ``[T + 2, N, d]``.

    With S_t = ∂_t s and m_t = Σ_j w S_t its mean: ∂_t o = Σ_j w S_t v + w ∂_t v − m_t o and
    Δo = Σ_j Δw v + w Δv + 2 Σ_t (w S_t ∂_t v − m_t w ∂_t v), where Δw = w(D − ⟨D⟩) with
    D = Δs + Σ_t (S_t − m_t)². A few directions t at a time, S_t = [∂_t q, q]·[k, ∂_t k] is one product of twice the
    inner dimension, and w S_t [v, ∂_t v] another.
    """
    total, n, groups, size = query.shape
    queries = groups * n
    # A shift common to all keys does not change the weights; without it S_t − m_t loses no digits.
    key = key - key.mean(1, keepdims=True)
    plain, first, last = query[0].reshape(queries, size), query[1:-1].reshape(-1, queries, size), query[-1]
    weights = _weights(query[0], key[0]).reshape(queries, n)
    columns = value.transpose(1, 0, 2).reshape(n, total * size)
    mean_value = (weights @ columns).reshape(queries, total, size).transpose(1, 0, 2)

    def directions(sums: tuple[Array, Array], jets: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        """Gradients of the messages along some directions, and what these add to Σ_t in D and in Δo."""
        dq, dk, dv, mean_dv = jets
        drift, cross = sums
        left = jnp.concatenate([dq, jnp.broadcast_to(plain, dq.shape)], axis=-1)
        scores = jnp.einsum("tqd,tjd->tqj", left, _beside(key[0], dk))
        change = weights * scores
        mean = change.sum(-1, keepdims=True)
        both = jnp.einsum("tqj,tjd->tqd", change, _beside(value[0], dv))
        second = dq.transpose(1, 0, 2).reshape(queries, -1) @ dk.transpose(0, 2, 1).reshape(-1, n)
        drift = drift + ((scores - mean) ** 2).sum(0) + 2.0 * second
        cross = cross + (both[..., size:] - mean * mean_dv).sum(0)
        return (drift, cross), both[..., :size] + mean_dv - mean * mean_value[0]

    chunk = _largest_divisor(total - 2, CACHED // (queries * n))
    jets = (first, key[1:-1], value[1:-1], mean_value[1:-1])
    chunks = tuple(jet.reshape(-1, chunk, *jet.shape[1:]) for jet in jets)
    nothing = (jnp.zeros_like(weights), jnp.zeros_like(plain))
    (drift, cross), gradient = jax.lax.scan(directions, nothing, chunks)
    drift = drift + last.reshape(queries, size) @ key[0].T + plain @ key[-1].T
    drift = weights * (drift - _mean(weights, drift))
    laplacian = drift @ value[0] + mean_value[-1] + 2.0 * cross
    gradient = gradient.reshape(-1, queries, size)
    return jnp.concatenate([mean_value[:1], gradient, laplacian[None]]).reshape(query.shape)


def _beside(value: Array, derivatives: Array) -> Array:
    """``[N, d]`` and ``[t, N, d]`` → ``[t, N, 2 d]``."""
    return jnp.concatenate([jnp.broadcast_to(value, derivatives.shape), derivatives], axis=-1)


def _largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is at most ``most``, and at least 1."""
    return next(d for d in range(min(number, max(most, 1)), 0, -1) if number % d == 0)


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

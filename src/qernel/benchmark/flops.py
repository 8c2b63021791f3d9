"""Floating-point operations of a function, counted from its trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def matmul_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Operations of all matrix products a function asks for, loops counted as often as they run.

    Elementwise work and decompositions are left out: this is the least that a machine limited by its
    matrix products has to do. A product of complex matrices counts as four real ones.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


_REPEATS: dict[str, Callable[[dict[str, Any]], int]] = {
    "scan": lambda parameters: int(parameters["length"]),
    # Its trace is the share of one device.
    "shard_map": lambda parameters: int(parameters["mesh"].size),
}
"""How often the trace inside an equation is run."""


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            total += _product(equation)
        repeat = _REPEATS.get(equation.primitive.name, lambda _: 1)(equation.params)
        total += repeat * sum(_count(inner) for inner in _inner(equation.params))
    return total


def _product(equation: Any) -> int:
    left, right = (variable.aval for variable in equation.invars)
    (contracted, _), _ = equation.params["dimension_numbers"]
    out = equation.outvars[0].aval
    complex_factors = 2 ** sum(jax.numpy.issubdtype(x.dtype, jax.numpy.complexfloating) for x in (left, right))
    return 2 * complex_factors * math.prod(out.shape) * math.prod(left.shape[axis] for axis in contracted)


def _inner(parameters: dict[str, Any]) -> Iterator[Any]:
    """The traces nested in an equation."""
    for value in parameters.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            closed = getattr(item, "jaxpr", item)
            if hasattr(closed, "eqns"):
                yield closed

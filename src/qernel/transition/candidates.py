r"""The curves that a scan is compared with, fitted by weighted least squares to many data sets at once.

All curves with a transition share one form, with c the place, s a step at 0 and w its width:

    f(x) = level + slope_l (x − c) + [jump + (slope_r − slope_l)(x − c)] s((x − c)/w)

``kink``: jump = 0, sharp. ``jump``: sharp. ``step``: s(u) = ½(1 + tanh u). ``smooth``: a polynomial in x.
At a given (c, w) all of them are linear, so the minimum over those two is all there is to search for:

* ``kink``: exactly, after Hudson, J. Am. Stat. Assoc. 61, 1097 (1966): either the two unconstrained lines left and
  right of a gap between neighbouring points meet inside that gap, or the kink sits on one of the points;
* ``jump``: χ² is the same everywhere in a gap, so c stands for its middle;
* ``step``: on a grid of (c, w), then on ever finer ones around the best.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qernel.lattice import FloatArray

DEGREES = (1, 2, 3, 4)
"""Of the smooth curves."""

PARAMETERS = {"kink": 4, "jump": 5, "step": 6} | {f"smooth{degree}": degree + 1 for degree in DEGREES}
"""Free numbers of each curve, c and w counted as one each."""

TRANSITIONS = ("kink", "jump", "step")

_PLACES, _WIDTHS, _ROUNDS, _TOGETHER = 160, 12, 5, 64


class Fit(NamedTuple):
    """The best curve of one kind for each of B data sets; every field ``[B]``, coefficients ``[B, degree + 1]``.

    Attributes:
        chi2: Σ (y − f)²/σ².
        place: c, the place of the transition; nan for a smooth curve.
        level: f just left of c.
        left: slope left of c in E0 per unit of x.
        right: slope right of c.
        jump: f just right of c minus f just left of it (for a step: between the two lines, at c).
        width: w, 0 for a sharp transition.
        coefficients: of a smooth curve, in powers of x − x_0, lowest first; else empty.
        origin: x_0.
    """

    chi2: FloatArray
    place: FloatArray
    level: FloatArray
    left: FloatArray
    right: FloatArray
    jump: FloatArray
    width: FloatArray
    coefficients: FloatArray
    origin: float

    def curve(self, x: FloatArray, index: int = 0) -> FloatArray:
        """f(x) ``[n]`` of one of the data sets."""
        if np.isnan(self.place[index]):
            result: FloatArray = np.polynomial.polynomial.polyval(x - self.origin, self.coefficients[index])
            return result
        u = x - self.place[index]
        difference = self.right[index] - self.left[index]
        return (
            self.level[index] + self.left[index] * u + (self.jump[index] + difference * u) * _step(u, self.width[index])
        )


def fit(model: str, x: FloatArray, errors: FloatArray, data: FloatArray) -> Fit:
    """Fit one kind of curve.

    Args:
        model: a key of `PARAMETERS`.
        x: increasing ``[n]``, n ≥ 5.
        errors: standard errors ``[n]``.
        data: data sets ``[B, n]`` or one ``[n]``.
    """
    y = np.atleast_2d(data)
    if model == "kink":
        return _kink(x, errors, y)
    if model == "jump":
        gaps = np.arange(2, len(x) - 1)
        middles = 0.5 * (x[gaps - 1] + x[gaps])
        chi2, best, solved = _profile(_sharp(x, middles), errors, y)
        return _transition(chi2, middles[best], solved, np.zeros(len(y)))
    if model == "step":
        return _rounded(x, errors, y)
    degree, origin = int(model.removeprefix("smooth")), float(x.mean())
    chi2, _, solved = _profile(((x - origin)[:, None] ** np.arange(degree + 1))[None], errors, y)
    none = np.full(len(y), np.nan)
    return Fit(chi2, none, none, none, none, none, none, solved, origin)


def _profile(designs: FloatArray, errors: FloatArray, y: FloatArray) -> tuple[FloatArray, np.ndarray, FloatArray]:
    """The best design of ``[m, n, p]`` for each data set ``[B, n]``: χ² ``[B]``, which, coefficients ``[B, p]``."""
    Q, R = np.linalg.qr(designs / errors[:, None])
    target = (y - y.mean(1, keepdims=True)) / errors  # every design holds a constant: less cancellation below
    projected = np.einsum("mnp,bn->mbp", Q, target, optimize=True)
    best = np.argmax((projected**2).sum(-1), axis=0)
    which = np.arange(len(y))
    chosen = Q[best]
    amplitudes = projected[best, which]
    chi2 = ((target - np.einsum("bnp,bp->bn", chosen, amplitudes)) ** 2).sum(1)
    full = np.einsum("bnp,bn->bp", chosen, y / errors)
    return chi2, best, np.linalg.solve(R[best], full[..., None])[..., 0]


def _step(u: FloatArray, width: FloatArray | float) -> FloatArray:
    if np.ndim(width) == 0 and width == 0:
        return (u > 0).astype(np.float64)
    result: FloatArray = 0.5 * (1.0 + np.tanh(u / width))
    return result


def _columns(u: FloatArray, s: FloatArray) -> FloatArray:
    """level, slope_l, jump, slope_r − slope_l."""
    return np.stack([np.ones_like(u), u, s, u * s], axis=-1)


def _sharp(x: FloatArray, places: FloatArray) -> FloatArray:
    u = x[None] - places[:, None]
    return _columns(u, _step(u, 0.0))


def _transition(chi2: FloatArray, place: FloatArray, solved: FloatArray, width: FloatArray) -> Fit:
    level, left, jump, change = solved.T
    return Fit(chi2, place, level, left, left + change, jump, width, np.zeros((len(chi2), 0)), 0.0)


def _kink(x: FloatArray, errors: FloatArray, y: FloatArray) -> Fit:
    which = np.arange(len(y))
    knots = x[1:-1]
    chi2, best, solved = _profile(_sharp(x, knots)[..., [0, 1, 3]], errors, y)
    place, level, left, change = knots[best], *solved.T
    for gap in range(2, len(x) - 1):
        middle = np.array([0.5 * (x[gap - 1] + x[gap])])
        free, _, lines = _profile(_sharp(x, middle), errors, y)
        bend = np.where(lines[:, 3] == 0, np.nan, lines[:, 3])
        meeting = middle - lines[:, 2] / bend
        better = (meeting > x[gap - 1]) & (meeting < x[gap]) & (free < chi2)
        chi2, place = np.where(better, free, chi2), np.where(better, meeting, place)
        level = np.where(better, lines[:, 0] + lines[:, 1] * (meeting - middle), level)
        left, change = np.where(better, lines[:, 1], left), np.where(better, lines[:, 3], change)
    return _transition(chi2, place, np.stack([level, left, 0.0 * which, change], axis=-1), np.zeros(len(y)))


def _rounded(x: FloatArray, errors: FloatArray, y: FloatArray) -> Fit:
    # Narrower than this it is a jump on this grid; wider than the other end, a curve without a place.
    low, high = np.array([x[1], np.diff(x).min() / 8]), np.array([x[-2], np.ptp(x) / 8])
    places = np.linspace(low[0], high[0], min(_PLACES, 8 * len(x)))
    widths = np.geomspace(low[1], high[1], _WIDTHS)
    grid = np.stack(np.meshgrid(places, widths, indexing="ij"), axis=-1).reshape(-1, 2)
    designs = _steps(x, grid)
    fits = [_zoom(x, errors, part, low, high, grid, designs) for part in np.array_split(y, -(-len(y) // _TOGETHER))]
    chi2, at, solved = (np.concatenate([one[i] for one in fits]) for i in range(3))
    return _transition(chi2, at[:, 0], solved, at[:, 1])


def _zoom(
    x: FloatArray,
    errors: FloatArray,
    y: FloatArray,
    low: FloatArray,
    high: FloatArray,
    grid: FloatArray,
    designs: Any,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """χ² ``[B]``, (c, w) ``[B, 2]``, coefficients ``[B, 4]``: the best of a grid, then of ever finer ones around it."""
    chi2, best, solved = _profile(designs, errors, y)
    at = grid[best]
    around = np.stack(np.meshgrid(*[np.linspace(-1, 1, 5)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    reach = np.array([(high[0] - low[0]) / min(_PLACES, 8 * len(x)), np.log(high[1] / low[1]) / _WIDTHS])
    for _ in range(_ROUNDS):
        near = np.stack(
            [at[:, None, 0] + reach[0] * around[:, 0], at[:, None, 1] * np.exp(reach[1] * around[:, 1])], -1
        )
        near = np.clip(near, low, high)
        for index, row in enumerate(y):
            one, which, numbers = _profile(_steps(x, near[index]), errors, row[None])
            if one[0] < chi2[index]:
                chi2[index], at[index], solved[index] = one[0], near[index, which[0]], numbers[0]
        reach = reach / 2
    return chi2, at, solved


def _steps(x: FloatArray, at: FloatArray) -> FloatArray:
    """Designs ``[m, n, 4]`` of rounded steps at (c, w) ``[m, 2]``."""
    u = x[None] - at[:, :1]
    return _columns(u, 0.5 * (1.0 + np.tanh(u / at[:, 1:])))

"""A measured number that carries its own error bar and unit."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from numbers import Real
from typing import Any

from qernel.errors import QernelError

_ENERGY = "E0"

_SPEC = re.compile(
    r"(?P<align>(?:.(?=[<>^]))?[<>^]?)(?P<sign>[-+ ]?)(?P<width>(?:[1-9]\d*)?)"
    r"(?P<digits>(?:\.\d+)?)(?P<kind>[eEfFgGs]?)"
)
"""What a format of a quantity may be: fill and alignment, sign, width, digits and kind."""


@dataclass(frozen=True, repr=False)
class Quantity:
    """A value with a one-sigma error bar that already accounts for autocorrelation.

    It prints in parenthesis notation: the digits in brackets are the error in units of the last
    digits shown.

    >>> E = Quantity(-17.64123, 0.00312, "E0", source="4096 samples, 64 chains, seed 1", E0_meV=3.375559)
    >>> E
    -17.6412(31) E0
    >>> E.to("meV")
    -59.549(11) meV
    >>> E.meV
    -59.549(11) meV
    >>> E / 3
    -5.8804(10) E0
    >>> f"{E:.3f}", f"{E:>20}"
    ('-17.641(3) E0', '     -17.6412(31) E0')
    >>> E - Quantity(-17.6, 0.004, "E0")
    -0.0412(51) E0

    Adding and subtracting assume that the two quantities are statistically *independent*: their errors
    add in quadrature. For two averages over the same samples average the difference instead.

    ``==`` asks whether two records are identical, field by field; it says nothing about agreement within
    error bars. There is no ``<``: compare ``.value``, or look at the difference and its error.

    Attributes:
        value: the estimate, in ``unit``.
        error: one standard error, in ``unit``; 0 for an exact value, nan where none could be estimated.
        unit: what it is measured in, such as ``"E0"`` or ``"E0/electron"``; ``""`` for a pure number.
        source: where it came from, in words.
        E0_meV: the energy unit E0 in meV, if the material is known.
        doubts: why the error bar may be too small, in words (`qernel.estimators.doubts`); printed behind the unit.
    """

    value: float
    error: float
    unit: str = ""
    source: str | None = None
    E0_meV: float | None = None
    doubts: tuple[str, ...] = ()

    # NumPy then leaves `np.float64(2) * quantity` to `__rmul__` instead of building an object array.
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        # Plain floats: NumPy and JAX scalars would leak into reprs and into JSON.
        object.__setattr__(self, "value", float(self.value) + 0.0)  # no negative zero
        object.__setattr__(self, "error", float(self.error))
        if self.error < 0:
            raise ValueError(f"error is {self.error}: a standard error cannot be negative, pass its magnitude")
        if self.E0_meV is not None:
            object.__setattr__(self, "E0_meV", float(self.E0_meV))
            if not self.E0_meV > 0:
                raise ValueError(f"E0_meV is {self.E0_meV}: the energy unit E0 in meV must be positive")

    @property
    def number(self) -> str:
        """Value and error in parenthesis notation, without the unit."""
        return parenthesis(self.value, self.error)

    @property
    def meV(self) -> Quantity:
        """The same energy in meV, value and error: ``to("meV")``.

        Raises:
            AttributeError: if it is no energy, or the energy unit is not known.
        """
        try:
            return self.to("meV")
        except ValueError as error:
            raise AttributeError(str(error)) from error

    def __repr__(self) -> str:
        return self._with_unit(self.number)

    def _with_unit(self, number: str) -> str:
        note = f"(doubtful: {', '.join(self.doubts)})" if self.doubts else ""
        return " ".join(part for part in (number, self.unit, note) if part)

    def __format__(self, spec: str) -> str:
        """The printed text, with the digits that are asked for.

        ``f"{q:.3f}"`` rounds value and error to the same place, as does every format of a float with ``f``, ``e`` or
        ``g``: ``-17.641(3) E0``; an error that is smaller than half of the last digit is ``(<1)``. ``f"{q}"`` has two
        digits of the error. A width and an alignment are those of the text: ``f"{q:>20}"``.

        Raises:
            ValueError: for any other format.
        """
        parts = _SPEC.fullmatch(spec)
        if parts is None or (parts["kind"] == "s" and parts["digits"] + parts["sign"]):
            raise ValueError(
                f"a quantity cannot be formatted with {spec!r}: give digits as of a float (.3f, .4g, .2e), a width, or "
                "nothing; .value and .error are plain numbers"
            )
        number, place = parts["sign"] + parts["digits"] + parts["kind"], parts["align"] + parts["width"]
        text = repr(self) if number in ("", "s") else self._with_unit(written(self.value, self.error, number))
        return format(text, place)

    def _repr_html_(self) -> str:
        text = repr(self)
        if self.E0_meV is not None and _is_energy(self.unit):
            text += f" = {self.meV!r}"
        text = html.escape(text).replace("-", "\N{MINUS SIGN}").replace("E0", "<i>E</i><sub>0</sub>")
        title = "" if self.source is None else f' title="{html.escape(self.source)}"'
        return f"<span{title}>{text}</span>"

    def as_dict(self) -> dict[str, float]:
        """``{"value": ..., "error": ...}`` in ``unit``, ready for JSON."""
        return {"value": self.value, "error": self.error}

    def to_uncertainties(self) -> Any:
        """As ``uncertainties.ufloat``, whose arithmetic knows which numbers depend on each other; without the unit.

        Raises:
            QernelError: if the package uncertainties is not installed.
        """
        try:
            from uncertainties import ufloat
        except ImportError as error:
            raise QernelError("the package uncertainties is not installed: pip install uncertainties") from error
        return ufloat(self.value, self.error, tag=self.source)

    def to(self, unit: str) -> Quantity:
        """The same quantity in ``"meV"`` or ``"E0"``.

        A denominator is kept: ``"E0/electron"`` becomes ``"meV/electron"`` whether or not it is spelled out.

        Raises:
            ValueError: if the quantity is not an energy, or the energy unit is not known.
        """
        head, slash, rest = self.unit.partition("/")
        target, _, target_rest = unit.partition("/")
        if target_rest not in ("", rest) or target not in (_ENERGY, "meV") or head not in (_ENERGY, "meV"):
            raise ValueError(f"cannot convert {self.unit!r} to {unit!r}: only energies convert, between E0 and meV")
        if target == head:
            return self
        if self.E0_meV is None:
            raise ValueError(
                f"cannot convert {self.unit!r} to {unit!r}: the energy unit is not known. "
                "Pass E0_meV=material.energy_unit_meV when making the quantity"
            )
        factor = self.E0_meV if target == "meV" else 1.0 / self.E0_meV
        return replace(self * factor, unit=target + slash + rest)

    def __mul__(self, factor: float) -> Quantity:
        if not isinstance(factor, Real):
            return NotImplemented
        return replace(self, value=self.value * float(factor), error=self.error * abs(float(factor)))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Quantity:
        if not isinstance(divisor, Real):
            return NotImplemented
        return replace(self, value=self.value / float(divisor), error=self.error / abs(float(divisor)))

    def __neg__(self) -> Quantity:
        return self * -1.0

    def __add__(self, other: Quantity) -> Quantity:
        return self._combine(other, 1.0)

    def __radd__(self, other: float) -> Quantity:
        if isinstance(other, Real) and other == 0:  # zero is zero in every unit: lets `sum` work
            return self
        return self._combine(other, 1.0)

    def __sub__(self, other: Quantity) -> Quantity:
        return self._combine(other, -1.0)

    def __rsub__(self, other: float) -> Quantity:
        return self._combine(other, -1.0)

    def _combine(self, other: object, sign: float) -> Quantity:
        """self ± other, independent."""
        if not isinstance(other, Quantity):
            raise TypeError(
                f"cannot add {other!r} to {self!r}: a bare number has no unit. "
                f"Write Quantity({other!r}, 0.0, {self.unit!r}) for an exact value"
            )
        if self.unit != other.unit:
            raise ValueError(f"cannot add {other!r} to {self!r}: the units differ, convert one with .to(...)")
        same_scale = _one_scale(self.E0_meV, other.E0_meV)
        if not same_scale and _is_energy(self.unit):
            raise ValueError(
                f"cannot add {other!r} to {self!r}: E0 is {self.E0_meV} meV in one and {other.E0_meV} meV in the "
                'other. Convert both with .to("meV")'
            )
        sources = [source for source in dict.fromkeys((self.source, other.source)) if source is not None]
        return Quantity(
            self.value + sign * other.value,
            # The one case in which dependence is plain to see.
            abs(1.0 + sign) * self.error if other is self else math.hypot(self.error, other.error),
            self.unit,
            "; ".join(sources) or None,
            (other.E0_meV if self.E0_meV is None else self.E0_meV) if same_scale else None,
            tuple(dict.fromkeys((*self.doubts, *other.doubts))),
        )


def _one_scale(first: float | None, second: float | None) -> bool:
    """Whether E0 is the same energy in both, as far as it is known."""
    return first is None or second is None or math.isclose(first, second, rel_tol=1e-9)


def _is_energy(unit: str) -> bool:
    """Whether ``unit`` is proportional to E0."""
    return unit.partition("/")[0] == _ENERGY


def parenthesis(value: float, error: float) -> str:
    """``value(error)`` with the error to two significant digits and the value to the same place.

    An error with digits on both sides of the decimal point keeps the point, a larger one is rounded to
    tens, hundreds, ...; very large and very small numbers share one exponent.

    >>> parenthesis(-17.64123, 0.00312), parenthesis(123.456, 1.23), parenthesis(12345.6, 123.0)
    ('-17.6412(31)', '123.5(1.2)', '12350(120)')
    >>> parenthesis(1.234e-7, 3.1e-9), parenthesis(0.5, 0.0), parenthesis(0.5, float("nan"))
    ('1.234(31)e-07', '0.5(0)', '0.5(nan)')
    """
    if not math.isfinite(value):
        return f"{value}({error:.2g})"
    if error == 0 or not math.isfinite(error):
        return f"{value:.12g}({error:g})"
    exact, sigma = Decimal(repr(value)), Decimal(repr(error))
    place = sigma.adjusted() - 1
    if _round(sigma, place).adjusted() > sigma.adjusted():  # 0.0996 rounds up to 0.10
        place += 1
    exact, sigma = _round(exact, place), _round(sigma, place)
    leading = max(exact.adjusted() if exact else place, sigma.adjusted())
    exponent = leading if leading < -4 or leading > 6 else 0
    exact, sigma, place = exact.scaleb(-exponent), sigma.scaleb(-exponent), place - exponent
    suffix = f"e{exponent:+03d}" if exponent else ""
    places = max(0, -place)
    digits = str(int(sigma.scaleb(places))) if sigma < 1 else f"{sigma:.{places}f}"
    return f"{exact:.{places}f}({digits}){suffix}"


def written(value: float, error: float, spec: str) -> str:
    """``value(error)`` with the value in a format of floats and the error rounded to its last place.

    An error below half of that place is not zero: it is shown as ``<1``.

    >>> written(-17.64123, 0.00312, ".3f"), written(123.456, 1.23, ".1f"), written(0.5, 0.001, ".2f")
    ('-17.641(3)', '123.5(1.2)', '0.50(<1)')
    >>> written(12345.6, 123.0, ".3e"), written(12345.6, 123.0, ".0f")
    ('1.235(12)e+04', '12346(123)')
    """
    text = format(value, spec)
    if not (math.isfinite(value) and math.isfinite(error)):
        return f"{text}({error:g})"
    mark = "E" if "E" in text else "e" if "e" in text else ""
    mantissa, _, exponent = text.partition(mark) if mark else (text, "", "")
    places = len(mantissa.partition(".")[2])
    sigma = _round(Decimal(repr(error)).scaleb(-int(exponent or 0)), -places)
    if sigma == 0:
        digits = "<1" if error else "0"
    else:
        digits = str(int(sigma.scaleb(places))) if sigma < 1 else f"{sigma:.{places}f}"
    return f"{mantissa}({digits}){mark}{exponent}"


def _round(number: Decimal, place: int) -> Decimal:
    """``number`` rounded to a multiple of 10**place, half to even, never to a negative zero."""
    # Not `quantize`: it fails where value and error are more than 28 digits apart.
    if number.adjusted() < place - 1:
        return Decimal(0)
    unit = Decimal(1).scaleb(place)
    return (number / unit).to_integral_value(rounding=ROUND_HALF_EVEN) * unit + 0

"""Printing, units and error propagation of `Quantity`."""

import json
import math
import re
import sys
from decimal import Decimal

import numpy as np
import pytest

from qernel.errors import QernelError
from qernel.estimators.quantity import Quantity, parenthesis

E0_MEV = 3.375559


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-17.64123, 0.00312, "-17.6412(31)"),
        (0.0, 0.0031, "0.0000(31)"),
        (-0.00001, 0.0031, "0.0000(31)"),  # no negative zero
        (17.6, 0.00996, "17.600(10)"),  # the error rounds up to one more digit
        (17.6, 0.996, "17.6(1.0)"),
        (123.456, 1.23, "123.5(1.2)"),
        (123.456, 12.3, "123(12)"),
        (12345.6, 123.0, "12350(120)"),
        (12.0, 345.0, "10(340)"),  # half to even
        (1.0, 99.6, "0(100)"),
        (3.0, 12345.0, "0(12000)"),
        (-5.0, 0.0, "-5(0)"),
        (0.1 + 0.2, 0.0, "0.3(0)"),
        (-17.64, math.nan, "-17.64(nan)"),
        (math.nan, math.nan, "nan(nan)"),
        (-17.64, math.inf, "-17.64(inf)"),
        (1.234e-7, 3.1e-9, "1.234(31)e-07"),
        (0.0, 1e-9, "0.0(1.0)e-09"),
        (1.234e8, 1e6, "1.234(10)e+08"),
        (-17.6, 2.5e-13, "-17.60000000000000(25)"),
    ],
)
def test_parenthesis_notation(value: float, error: float, text: str) -> None:
    assert parenthesis(value, error) == text
    assert repr(Quantity(value, error, "E0")) == text + " E0"


def test_parenthesis_notation_reads_back() -> None:
    """Any printed number gives the value within half a unit of its last place, the error within 5%."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        error = 10.0 ** rng.uniform(-12, 9)
        value = rng.normal() * 10.0 ** rng.uniform(-12, 9)
        mantissa, _, exponent = parenthesis(value, error).partition("e")
        digits, bracket = mantissa.rstrip(")").split("(")
        scale = Decimal(10) ** int(exponent or 0)
        last = Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent))
        shown = Decimal(bracket) if "." in bracket else Decimal(bracket) * last
        assert 0.95 <= float(shown * scale) / error <= 1.05
        # Two significant digits of the error fix the last place shown.
        place = last if last < 1 or shown < 100 else Decimal(10) ** (shown.adjusted() - 1)
        assert abs(float(Decimal(digits) * scale) - value) <= 0.5001 * float(place * scale) + 1e-15 * abs(value)


def test_fields_become_plain_floats() -> None:
    q = Quantity(np.float32(1.5), np.float64(0.25), "E0")  # type: ignore[arg-type]
    assert type(q.value) is float and type(q.error) is float
    assert json.loads(json.dumps(q.as_dict())) == {"value": 1.5, "error": 0.25}


def test_format_pads() -> None:
    assert f"{Quantity(-17.64123, 0.00312, 'E0'):>18}" == "   -17.6412(31) E0"
    assert f"{Quantity(0.5, 0.1)}" == "0.50(10)"


@pytest.mark.parametrize(
    ("value", "error", "spec", "text"),
    [
        (-17.64123, 0.00312, ".3f", "-17.641(3) E0"),
        (-17.64123, 0.00312, ".5f", "-17.64123(312) E0"),
        (-17.64123, 0.00312, "+.1f", "-17.6(<1) E0"),
        (0.25, 0.0, ".2f", "0.25(0) E0"),
        (12.5, 1.26, " .1f", " 12.5(1.3) E0"),
        (0.999, 0.0096, ".2f", "1.00(1) E0"),
        (99.96, 0.96, ".1f", "100.0(1.0) E0"),
        (-17.64123, 0.00312, ">20.3f", "       -17.641(3) E0"),
        (-17.64123, 0.00312, "*^17.3f", "**-17.641(3) E0**"),
        (-17.64123, 0.00312, ".5g", "-17.641(3) E0"),
        (-17.64123, 0.00312, ".5", "-17.641(3) E0"),
        (1234567.0, 8900.0, ".2e", "1.23(1)e+06 E0"),
        (1234567.0, 8900.0, ".3E", "1.235(9)E+06 E0"),
        (1.5e-9, 2e-11, ".1e", "1.5(<1)e-09 E0"),
        (math.nan, 0.1, ".3f", "nan(0.1) E0"),
        (0.5, math.nan, ".3f", "0.500(nan) E0"),
    ],
)
def test_format_with_digits(value: float, error: float, spec: str, text: str) -> None:
    assert format(Quantity(value, error, "E0"), spec) == text


def test_formatted_numbers_are_those_of_floats() -> None:
    """The value as Python writes it, the error within half of its last place."""
    random = np.random.default_rng(5)
    for _ in range(300):
        value, error = float(random.normal() * 10.0 ** random.integers(-6, 7)), float(10.0 ** random.uniform(-4, 3))
        spec = f".{random.integers(0, 7)}{random.choice(list('feg'))}"
        text = format(Quantity(value, error), spec)
        mantissa, digits, exponent = re.fullmatch(r"(.*)\((.*)\)(.*)", text).groups()  # type: ignore[union-attr]
        assert mantissa + exponent == format(value, spec)
        last = 10.0 ** (int(exponent[1:] or 0) - len(mantissa.partition(".")[2]))
        shown = 0.0 if digits == "<1" else float(digits) * (10.0 ** int(exponent[1:] or 0) if "." in digits else last)
        assert abs(shown - error) <= 0.5001 * last, text


@pytest.mark.parametrize("spec", [".3s", "08.3f", "=10", ".3x", "%", "abc", ",.2f"])
def test_formats_that_are_none(spec: str) -> None:
    with pytest.raises(ValueError, match=r"give digits as of a float"):
        format(Quantity(1.0, 0.1), spec)


def test_meV_is_the_energy() -> None:
    q = Quantity(-2.0, 0.1, "E0/electron", E0_meV=E0_MEV)
    assert q.meV == q.to("meV") and q.meV.meV == q.meV
    for none in (Quantity(1.0, 0.1, "E0"), Quantity(1.0, 0.1, "a_M", E0_meV=E0_MEV)):
        assert not hasattr(none, "meV")


def test_uncertainties_know_what_depends_on_what() -> None:
    uncertainties = pytest.importorskip("uncertainties")
    q = Quantity(-17.6, 0.003, "E0", source="run")
    there = q.to_uncertainties()
    assert isinstance(there, uncertainties.UFloat) and (there.n, there.s, there.tag) == (-17.6, 0.003, "run")
    assert (there - there).s == 0.0 and (there * there).s == pytest.approx(2 * 17.6 * 0.003)


def test_without_uncertainties_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uncertainties", None)
    with pytest.raises(QernelError, match="pip install uncertainties"):
        Quantity(1.0, 0.1).to_uncertainties()


def test_html_shows_source_and_meV_safely() -> None:
    q = Quantity(-17.64123, 0.00312, "E0", source='64 chains, "<seed>" 1', E0_meV=E0_MEV)
    text = q._repr_html_()
    assert "\N{MINUS SIGN}17.6412(31) <i>E</i><sub>0</sub>" in text
    assert "\N{MINUS SIGN}59.549(11) meV" in text
    assert "&quot;&lt;seed&gt;&quot;" in text and "<seed>" not in text
    assert "meV" not in Quantity(1.0, 0.1, "E0")._repr_html_()


def test_conversion() -> None:
    q = Quantity(-2.0, 0.1, "E0/electron", source="run", E0_meV=E0_MEV)
    there = q.to("meV")
    assert there.unit == "meV/electron" and there.source == "run"
    assert there.value == pytest.approx(-2.0 * E0_MEV) and there.error == pytest.approx(0.1 * E0_MEV)
    back = there.to("E0/electron")
    assert back.unit == q.unit
    assert back.value == pytest.approx(q.value) and back.error == pytest.approx(q.error)
    assert q.to("E0") is q


def test_conversion_errors_prescribe() -> None:
    with pytest.raises(ValueError, match=r"material\.energy_unit_meV"):
        Quantity(1.0, 0.1, "E0").to("meV")
    for unit, target in (("a_M", "meV"), ("E0²", "meV"), ("E0", "K"), ("E0", "meV/electron"), ("", "meV")):
        with pytest.raises(ValueError, match="only energies convert"):
            Quantity(1.0, 0.1, unit, E0_meV=E0_MEV).to(target)


def test_scaling_keeps_the_relative_error() -> None:
    q = Quantity(-6.0, 0.3, "E0", source="run", E0_meV=E0_MEV)
    for scaled in (q * -2, -2 * q, q * np.float64(-2.0), np.float64(-2.0) * q, q / -0.5):
        assert isinstance(scaled, Quantity)
        assert (scaled.value, scaled.error, scaled.source, scaled.E0_meV) == (12.0, 0.6, "run", E0_MEV)
    assert (-q).value == 6.0 and (-q).error == 0.3


def test_independent_errors_add_in_quadrature() -> None:
    a, b = Quantity(5.0, 0.3, "E0", source="a", E0_meV=E0_MEV), Quantity(3.0, 0.4, "E0", source="b")
    assert (a + b).as_dict() == {"value": 8.0, "error": pytest.approx(0.5)}
    assert (a - b).as_dict() == {"value": 2.0, "error": pytest.approx(0.5)}
    assert (a - b).source == "a; b" and (b - a).E0_meV == E0_MEV
    mean = sum([a, b]) / 2  # type: ignore[operator]
    assert mean.as_dict() == {"value": 4.0, "error": pytest.approx(0.25)}
    # A quantity is not independent of itself.
    assert (a - a).as_dict() == {"value": 0.0, "error": 0.0}
    assert (a + a).as_dict() == {"value": 10.0, "error": 0.6}


def test_mixing_units_is_an_error() -> None:
    q = Quantity(1.0, 0.1, "E0", E0_meV=E0_MEV)
    with pytest.raises(ValueError, match="units differ"):
        q + q.to("meV")
    with pytest.raises(ValueError, match=r'\.to\("meV"\)'):
        q - Quantity(1.0, 0.1, "E0", E0_meV=2.0)
    for mixed in (lambda: q + 1.0, lambda: 1.0 - q):
        with pytest.raises(TypeError, match=r"Quantity\(1.0, 0.0, 'E0'\)"):
            mixed()
    with pytest.raises(TypeError):
        q * q  # type: ignore[operator]
    with pytest.raises(TypeError):
        np.ones(3) * q


def test_comparison_holds_no_surprise() -> None:
    q = Quantity(1.0, 0.1, "E0")
    assert q == Quantity(1.0, 0.1, "E0") and hash(q) == hash(Quantity(1.0, 0.1, "E0"))
    assert q != Quantity(1.01, 0.1, "E0")  # compatible is not equal
    with pytest.raises(TypeError):
        q < Quantity(2.0, 0.1, "E0")  # type: ignore[operator]  # noqa: B015


def test_invalid_fields() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        Quantity(1.0, -0.1)
    with pytest.raises(ValueError, match="must be positive"):
        Quantity(1.0, 0.1, "E0", E0_meV=0.0)

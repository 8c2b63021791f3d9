"""Comparing models: ratios with known answers, equal conditions, reference tables, clocks, errors over seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qernel.comparison.accuracy import best_found, combined
from qernel.comparison.clock import CLOCK_FILE, Clock, read, seconds_at
from qernel.comparison.conditions import Budget, budgeted, check_equal, entries
from qernel.comparison.ratios import Point, attained, needed, ratio
from qernel.comparison.reference import at, read_rows
from qernel.comparison.runs import Measured, milestones
from qernel.config import Config, load_config
from qernel.errors import QernelError, RunError
from runs import TINY

EXACT = Path(__file__).parents[1] / "studies" / "exact"


def power(costs: list[float], scale: float, exponent: float, relative: float = 0.0) -> list[Point]:
    """Points of the law excess = scale · cost^(−exponent)."""
    excess = [scale * cost**-exponent for cost in costs]
    return [Point(cost, y, relative * y) for cost, y in zip(costs, excess, strict=True)]


def test_ratio_of_parallel_power_laws() -> None:
    """(A1/A2)^(1/p) at every accuracy, wherever the points are."""
    found = ratio(power([100, 300, 1000, 5000], 8.0, 0.5), power([40, 200, 900, 1100], 2.0, 0.5))
    assert found.value == pytest.approx((8.0 / 2.0) ** 2) and found.reason is None
    assert found.low == pytest.approx(found.value) and found.high == pytest.approx(found.value)
    inverse = ratio(power([40, 200, 900, 1100], 2.0, 0.5), power([100, 300, 1000, 5000], 8.0, 0.5))
    assert inverse.value == pytest.approx(1 / 16) and inverse.accuracy == found.accuracy


def test_ratio_of_crossing_power_laws_is_taken_in_the_middle_of_the_overlap() -> None:
    one, other = power([10, 1000], 1.0, 1.0), power([10, 1000], 1.0, 0.5)
    found = ratio(one, other)
    # Accuracies: 1e-3 to 1e-1 and 10^(-1.5) to 10^(-0.5): both reach 10^(-1.5) to 1e-1.
    accuracy = 10**-1.25
    assert found.accuracy == pytest.approx(accuracy)
    assert found.value == pytest.approx(accuracy**-1.0 / accuracy**-2.0)


def test_the_interval_is_that_of_error_propagation() -> None:
    """One model against an exact curve: δ ln(ratio) = (σ/ε)/p."""
    single, curve = [Point(500.0, 0.02, 0.02 * 0.1)], power([10, 100, 1000, 10000], 1.0, 0.8)
    found = ratio(single, curve)
    assert found.value == pytest.approx(500.0 / 0.02 ** (-1 / 0.8))
    assert found.low is not None and found.high is not None
    half = 0.5 * math.log(found.high / found.low)
    assert half == pytest.approx(0.994 * 0.1 / 0.8, rel=0.08)  # 16 % and 84 % lie at 0.994 σ; 2000 resamples
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([Point(10, 0.5, 0.01), Point(20, 0.4, 0.01)], [Point(10, 0.3, 0.01), Point(20, 0.1, 0.01)], "by both"),
        ([Point(10, 0.5, 0.1), Point(20, 0.4, 0.1)], [Point(10, 0.41, 0.1), Point(20, 0.1, 0.1)], "error bars"),
        ([Point(10, -0.1, 0.1)], [Point(10, 0.3, 0.01)], "resolved"),
        ([], [Point(10, 0.3, 0.01)], "resolved"),
    ],
)
def test_no_ratio_is_extrapolated(first: list[Point], second: list[Point], words: str) -> None:
    found = ratio(first, second)
    assert found[:4] == (None, None, None, None) and words in (found.reason or "")


def test_what_is_attained_never_gets_worse() -> None:
    points = [Point(30, 0.2, 0), Point(10, 0.5, 0), Point(20, 0.6, 0), Point(40, 0.3, 0), Point(10, 0.9, 0)]
    curve = attained([*points, Point(50, math.nan, 0), Point(60, -1.0, 0)])
    np.testing.assert_allclose(np.exp(curve), [[10, 0.5], [30, 0.2]])
    assert needed(curve, math.log(0.5)) == pytest.approx(math.log(10))
    assert needed(curve, math.log(0.2)) == pytest.approx(math.log(30))
    middle = needed(curve, 0.5 * math.log(0.5 * 0.2))
    assert middle == pytest.approx(0.5 * math.log(300))
    assert needed(curve, math.log(0.51)) is None and needed(curve, math.log(0.19)) is None
    assert needed([], 0.0) is None


def test_errors_over_seeds_hold_scatter_and_sampling() -> None:
    values, errors = np.array([[1.0], [1.2], [1.4]]), np.full((3, 1), 0.03)
    mean, error = combined(values, errors)
    assert mean[0] == pytest.approx(1.2) and error[0] == pytest.approx(0.2 / math.sqrt(3))
    _, error = combined(np.full((3, 1), 1.2), errors)
    assert error[0] == pytest.approx(0.03 / math.sqrt(3)), "seeds that agree by chance"
    _, error = combined(values[:1], errors[:1])
    assert error[0] == 0.03
    # Coverage: seeds scatter by 0.1, sampling adds 0.05; the error is that of the mean of three.
    rng = np.random.default_rng(2)
    drawn = 0.1 * rng.normal(size=(3, 4000)) + 0.05 * rng.normal(size=(3, 4000))
    _, error = combined(drawn, np.full(drawn.shape, 0.05))
    assert np.sqrt((error**2).mean()) == pytest.approx(math.hypot(0.1, 0.05) / math.sqrt(3), rel=0.05)


def test_without_a_reference_the_lowest_energy_counts_and_says_so() -> None:
    def run(*energy: float) -> Measured:
        return Measured(np.ones(1), np.ones(1), np.array([energy]), np.full((1, 2), 0.1), 1.0)

    found = best_found({"a": [run(-1.0, -3.0), run(-1.2, -3.2)], "b": [run(-2.0, -2.0)]}, np.array([0.5, 1.0]))
    np.testing.assert_allclose(found.energy, [-2.0, -3.1])
    assert not found.exact and found.source == "lowest energy found: b at λ = 0.5, a at λ = 1"


def config(**sections: Any) -> Config:
    table: dict[str, Any] = {name: dict(TINY[name]) for name in TINY}
    for name, values in sections.items():
        table[name] = {**table[name], **values}
    return load_config(table)


def test_conditions_that_differ_are_named() -> None:
    first = config()
    wider = config(model={"width": 8}, train={"seed": 4, "keep_checkpoints": 7})
    check_equal([("a", first), ("b", wider)])
    other = config(train={"learning_rate": 0.2, "iterations": 9}, family={"lam": [0.5, 1.2]})
    with pytest.raises(QernelError) as caught:
        check_equal([("a", first), ("b", other)])
    for words in (
        "family.lam = [0.5, 1.0] in a and [0.5, 1.2] in b",
        "train.learning_rate = 0.05 in a and 0.2 in b",
        "--allow family.lam train.iterations train.learning_rate",
    ):
        assert words in str(caught.value)
    check_equal([("a", first), ("b", other)], ["family.lam", "train.learning_rate"], ("train.iterations",))
    with pytest.raises(QernelError, match="no such key"):
        check_equal([("a", first)], ["train.rate"])
    with pytest.raises(QernelError, match="no such key"):
        check_equal([("a", first)], ["model.width"])
    with pytest.raises(QernelError, match="different systems"):
        check_equal([("a", first)], ["system.electrons"])
    with pytest.raises(QernelError, match=r"system\.V0 = None in a and 1\.0 in b"):
        check_equal([("a", first), ("b", config(system={"V0": 1.0, "U": 2.0}))])


def test_an_ablation_is_named_by_what_it_takes_away() -> None:
    taken = {"whole": {}, "grouping": {"kv_heads": 2}, "film": {"film": False, "parameter_features": True}}
    found = entries([(name, config(model=keys)) for name, keys in taken.items()])
    assert [entry.series for entry in found] == [
        "qernel",
        "qernel (kv_heads = 2)",
        "qernel (film = false, parameter_features = true)",
    ]


def test_models_of_one_series_differ_in_size_alone() -> None:
    base = config(model={"width": 8})
    psi = {"ansatz": "psiformer"}
    found = entries(
        [
            ("q", base),
            ("Q", config(model={"width": 12, "experts": 4, "mlp_width": 9})),
            ("p", config(model=psi)),
            ("P", config(model={**psi, "width": 8, "kv_heads": 2})),
            ("bare", config(model={**psi, "film": False, "jastrow": False})),
        ]
    )
    series = [entry.series for entry in found]
    assert series[0] == series[1] == "qernel"
    # Keys that PsiFormer does not read set nothing apart.
    assert series[2] == series[3] == "psiformer (film = true, jastrow = true)"
    assert series[4] == "psiformer (film = false, jastrow = false)"
    with pytest.raises(QernelError, match="the same model"):
        entries([("a", config(model=psi)), ("b", config(model={**psi, "experts": 7}))])
    with pytest.raises(QernelError, match="two configurations"):
        entries([("a", base), ("a", config(model={"width": 12}))])
    trained = budgeted(base, 5, Budget(40, None))
    assert (trained.train.seed, trained.train.iterations, trained.train.time_limit_s) == (5, 40, None)
    assert Config(**trained.to_dict()) == trained


def test_exact_tables_are_understood(tmp_path: Path) -> None:
    six = load_config("n6")
    rows = read_rows(EXACT / "six_electrons.json", six)
    table = {row.lam: row for row in rows}
    assert len(rows) == 11 and table[1.0].energy == pytest.approx(-17.6401, abs=1e-4)
    assert table[1.1].energy == pytest.approx(-18.4244, abs=1e-4), "the lower of two momenta"
    known = at(rows, [0.2, 1.1], EXACT / "six_electrons.json")
    assert known.exact and known.error[1] == pytest.approx(0.0018, abs=1e-4)
    with pytest.raises(QernelError, match=r"no energy at λ = 0\.5, 0\.9.*choose --lam from 0\.2"):
        at(rows, [0.5, 0.9, 1.0], Path("six.json"))

    two = read_rows(EXACT / "few_electrons.json", load_config("n2"))
    assert [row.lam for row in two] == pytest.approx([0.0, 1.0], abs=1e-9)
    assert [row.energy for row in two] == pytest.approx([-23.799976 / 2, -36.260556 / 2], abs=1e-6)
    weak = read_rows(EXACT / "few_electrons.json", load_config("n3", ["system.V0=4.443709082419186", "system.U=2"]))
    assert [row.energy for row in weak] == pytest.approx([-0.663250 / 3, -12.907526 / 3], abs=1e-6)

    csv = tmp_path / "table.csv"
    csv.write_text("lam,energy,energy_error,more\n1.0,-17.6,0.01,x\n0.4,-14.1,0.02,y\n")
    assert [tuple(row) for row in read_rows(csv, six)] == [(0.4, -14.1, 0.02), (1.0, -17.6, 0.01)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "[1, 2]", "no table of energies"),
        ("a.json", "{", "no table of energies"),
        ("a.json", '{"cases": [], "units": "E0 per electron"}', "no energies of this system"),
        ("a.json", '{"cases": [{"lam": 1, "energy": -1, "uncertainty": 0}], "units": "E0"}', "per electron"),
        ("a.json", '{"cases": [], "units": "N = 24"}', "24 electrons, and the models have 6"),
        ("a.csv", "lam,energy\n1,2\n", "energy_error"),
        ("a.csv", "lam,energy,energy_error\n1,nan,0.1\n", "makes no sense"),
        ("a.nc", "text", "damaged or no NetCDF"),
    ],
)
def test_other_tables_are_refused(name: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RunError, match=words):
        read_rows(path, load_config("n6"))
    with pytest.raises(RunError, match="none"):
        read_rows(tmp_path / f"none{path.suffix}", load_config("n6"))


def test_the_clock_counts_what_led_to_the_state(tmp_path: Path) -> None:
    clock = Clock(tmp_path, None)
    for iteration in range(1, 31):
        assert not clock(iteration, 0.5 * (iteration - 1))
    clock.close()
    assert seconds_at(read(tmp_path), 30) == pytest.approx(14.5)
    # Killed; the newest checkpoint is of iteration 20, and half a line was being written.
    with (tmp_path / CLOCK_FILE).open("a") as handle:
        handle.write("31,1")
    again = Clock(tmp_path, 12.0)
    ends = [again(iteration, float(iteration - 21)) for iteration in range(21, 25)]
    again.close()
    assert ends == [False, False, False, True], "9.5 s were spent at iteration 20"
    rows = read(tmp_path)
    assert rows[-1] == (24, 12.5) and seconds_at(rows, 20) == 9.5
    assert seconds_at(rows, 23) == pytest.approx(11.5) and seconds_at(rows, 0) == 0.0
    # A jump back inside a run: time runs on, and iteration 2 is reached for the second time.
    assert seconds_at([(1, 1.0), (3, 3.0), (1, 4.0), (3, 6.0)], 2) == 5.0
    assert read(tmp_path / "none") == []


def test_milestones_halve_the_training() -> None:
    paths = [Path(f"checkpoint-{iteration:09d}.safetensors") for iteration in (0, 20, 100, 200, 300, 400, 420)]
    assert [iteration for iteration, _ in milestones(paths[::-1], 4)] == [20, 100, 200, 420]
    assert [iteration for iteration, _ in milestones(paths[:1], 4)] == [0]
    assert [iteration for iteration, _ in milestones(paths, 1)] == [420]


def test_the_study_of_architectures_compares_three_series_under_equal_conditions() -> None:
    folder = Path(__file__).parents[1] / "studies" / "architecture"
    configs = [(path.stem, load_config(path)) for path in sorted(folder.glob("*.toml"))]
    check_equal(configs)
    found = entries(configs)
    assert [entry.label for entry in found] == [entry.config.name for entry in found]
    sizes = {entry.series: 0 for entry in found}
    for entry in found:
        sizes[entry.series] += 1
        # Every model knows λ, and none has a key that its ansatz does not read.
        assert not [note for note in entry.config.notes() if "no effect" in note or "do not depend on λ" in note]
    assert sorted(sizes.values()) == [3, 4, 4]


def test_the_ablations_take_away_one_thing_each() -> None:
    folder = Path(__file__).parents[1] / "studies" / "architecture" / "ablations"
    configs = {path.stem: load_config(path) for path in sorted(folder.glob("*.toml"))}
    check_equal(list(configs.items()))
    assert [entry.label for entry in entries(list(configs.items()))] == list(configs)
    whole = configs.pop("whole").model.model_dump()
    for label, config in configs.items():
        assert config.name == label
        changed = {key for key, value in config.model.model_dump().items() if value != whole[key]}
        assert 1 <= len(changed) <= 3, f"{label} changes {changed}"
        assert not [note for note in config.notes() if "no effect" in note or "do not depend on λ" in note]


def test_a_model_that_does_not_know_lam_is_remarked_upon() -> None:
    blind = config(model={"film": False})
    assert any("do not depend on λ" in note for note in blind.notes())
    for values in ({"film": True}, {"film": False, "parameter_features": True}):
        assert not any("do not depend on λ" in note for note in config(model=values).notes())

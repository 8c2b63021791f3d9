"""Configuration: what is accepted, what is said about the rest, and that nothing else ever escapes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qernel.config import SECTIONS, Config, ModelConfig, SystemConfig, load_config, preset_text, presets
from qernel.config.sections import MATERIAL_KEYS, REDUCED_KEYS, range_keys
from qernel.errors import ConfigError, QernelError
from qernel.units import Material

SMALL: dict[str, Any] = {"system": {"electrons": 6, "supercell": [[3, 0], [0, 3]]}}


def small(**sections: dict[str, Any]) -> dict[str, Any]:
    """The smallest complete configuration with some keys changed."""
    table = {key: dict(value) for key, value in SMALL.items()}
    for section, values in sections.items():
        table[section] = table.get(section, {}) | values
    return table


def problems(source: Any, *overrides: str) -> list[str]:
    """What `load_config` complains about."""
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert caught.value.problems and all(text and "\n" not in text for text in caught.value.problems)
    return caught.value.problems


# Presets


@pytest.mark.parametrize("name", presets())
def test_preset_loads_and_describes_itself(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert config.system.count == int(name.removeprefix("hf").removeprefix("n"))
    assert 3 * config.system.count in (config.system.cells, 2 * config.system.cells)
    assert len(config.notes()) == 1, "a preset gives no reason for remarks beyond its filling"
    assert preset_text(name).startswith("#")


@pytest.mark.parametrize("name", presets())
def test_preset_round_trips_through_toml(name: str) -> None:
    config = load_config(name)
    again = load_config(tomllib.loads(config.to_toml()))
    assert again == config
    assert again.fingerprint() == config.fingerprint()


def test_all_presets_are_there() -> None:
    assert presets() == ("n2", "n3", "n6", "n24", "n54", "n96", "hf24", "n150")


def test_preset_key_is_a_starting_point() -> None:
    config = load_config({"preset": "n6", "train": {"iterations": 7}})
    assert config == load_config("n6", ["train.iterations=7"])
    assert config.family.lam == (0.4, 1.4)


def test_preset_override_replaces_the_preset_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('preset = "n6"\ntrain.seed = 3\n', "utf-8")
    config = load_config(path, ["preset=n3"])
    assert (config.system.count, config.train.seed) == (3, 3)


def test_unknown_preset() -> None:
    (text,) = problems({"preset": "n7"})
    assert text == "preset = 'n7' does not exist: use n2, n3, n6, n24, n54, n96, hf24, n150"
    assert problems({"preset": 3})[0].startswith("preset = 3 does not exist")
    assert problems({"preset": ["n6"]})


def test_unknown_preset_hides_no_other_problem() -> None:
    texts = problems({"preset": "n7", "train": {"seed": "x"}}, "oops")
    assert len(texts) == 3


# Values


def test_defaults_and_coercions() -> None:
    config = load_config(SMALL)
    assert config.system.electrons == (6, 0)
    assert config.system.supercell == ((3, 0), (0, 3))
    assert config.family.lam == (1.0, 1.0)
    assert config.system.material == Material()
    assert config.energy_unit_meV == pytest.approx(3.375559, abs=1e-6)
    assert config == Config(**SMALL)


def test_whole_numbers_are_fine_for_floats() -> None:
    rate = load_config(small(train={"learning_rate": 1})).train.learning_rate
    assert rate == 1.0 and isinstance(rate, float)


def test_sections_can_be_objects() -> None:
    system = SystemConfig(electrons=(6, 0), supercell=((3, 0), (0, 3)))
    assert Config(system=system) == load_config(SMALL)
    with pytest.raises(ConfigError, match=r"^train.seed = 'x' is not a whole number.*\nmodel.width = 30 is not"):
        Config.model_validate({"system": system, "train": {"seed": "x"}, "model": ModelConfig(width=30)})


def test_fixed_lambda_is_a_number() -> None:
    assert load_config(small(family={"lam": 0.5})).family.lam == (0.5, 0.5)


def test_electrons_of_two_spins() -> None:
    config = load_config(small(system={"electrons": [3, 2]}))
    assert config.system.electrons == (3, 2) and config.system.count == 5
    assert config.to_dict()["system"]["electrons"] == [3, 2]


def test_configurations_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config(SMALL).train.seed = 3


def test_the_callers_mapping_is_left_alone() -> None:
    table = {"preset": "n6", "train": {"iterations": 7}}
    load_config(table, ["train.iterations=8", "train.seed=1"])
    assert table == {"preset": "n6", "train": {"iterations": 7}}


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("train", "iterations", "many", "is not a whole number: give e.g. iterations = 1000"),
        ("train", "iterations", 1.0, "is not a whole number"),
        ("train", "iterations", True, "= true is not a whole number"),
        ("train", "iterations", -1, "must be at least 0"),
        ("train", "iterations", 10**12, "must be at most 1000000000"),
        ("train", "iterations", None, "is not a whole number"),
        ("train", "learning_rate", "0.05", "is not a number"),
        ("train", "learning_rate", True, "is not a number"),
        ("train", "learning_rate", 0, "must be greater than 0"),
        ("train", "learning_rate", float("nan"), "is not finite"),
        ("train", "learning_rate", float("inf"), "is not finite"),
        ("train", "learning_rate", 10**400, "a huge number is not a number"),
        ("train", "momentum", 1.0, "must be less than 1"),
        ("train", "balance", 1.5, "must be at most 1"),
        ("train", "walkers", 1, "must be at least 2"),
        ("train", "seed", 2**32, "must be less than 4294967296"),
        ("train", "precision", "float16", "is not one of float32, float64: give e.g. precision = 'float32'"),
        ("train", "precision", 32, "is not one of float32, float64"),
        ("train", "time_limit_s", 0, "must be greater than 0: give e.g. time_limit_s = 3600.0"),
        ("train", "time_limit_s", "1h", "is not a number"),
        ("sample", "acceptance", 1, "must be less than 1"),
        ("model", "film", 1, "is not true or false"),
        ("model", "complex", "yes", 'is not "auto", true or false'),
        ("model", "complex", 1, 'is not "auto", true or false'),
        ("model", "ansatz", "paulinet", "is not one of qernel, lem, psiformer, slater"),
        ("system", "electrons", "six", "is not a whole number of spin-polarised electrons or a pair [up, down]"),
        ("system", "electrons", 0, "must be at least one electron"),
        ("system", "electrons", -3, "must be at least one electron"),
        ("system", "electrons", [1, 2, 3], "or a pair [up, down]: give e.g. electrons = 6"),
        ("system", "electrons", 6.0, "or a pair [up, down]"),
        ("system", "electrons", True, "or a pair [up, down]"),
        ("system", "supercell", [3, 3], "is not two rows of two whole numbers: give e.g. supercell = [[3, 0], [0, 3]]"),
        ("system", "supercell", [[3, 0.5], [0, 3]], "is not two rows of two whole numbers"),
        ("system", "supercell", [[1, 2], [2, 4]], "has no area: its rows must be independent"),
        ("system", "lattice", "honeycomb", "is not one of triangular, square"),
        ("system", "interaction", "contact", "is not one of coulomb, dual_gate, single_gate, yukawa"),
        ("system", "twist", [0.5], "is not a pair of numbers"),
        ("system", "period_nm", 0, "must be at least 1e-06"),
        ("system", "depth_meV", -15, "must be at least 0"),
        ("family", "lam", [2, 1], "must run from low to high"),
        ("family", "gaps", [[0.7, 0.9], [0.9, 1]], "must be intervals from low to high, in increasing order and apart"),
        ("family", "gaps", [0.7, 0.9], "is not a list of intervals"),
        ("family", "scaled_over", {"lam": [1, 0]}, "must run from low to high"),
        ("family", "scaled_over", [0.4, 1.4], "is not a table of intervals [low, high] by parameter"),
        ("train", "started_from", "n6", "must be a name and sha256: with 64 hexadecimal digits, as --from writes"),
        ("train", "started_from", 3, "is not a name and the SHA-256 of weights"),
        ("family", "lam", [-1, 1], "must have every entry at least 0"),
        ("family", "lam", "all", "is not an interval [low, high] or a single number"),
        ("family", "U", 8.0, "is not an interval [low, high]: give e.g. U = [8.0, 12.0]"),
        ("family", "phase_deg", [1, 2, 3], "is not an interval [low, high]"),
    ],
)
def test_a_bad_value_is_named_with_its_reason_and_an_example(section: str, key: str, value: Any, reason: str) -> None:
    (text,) = problems(small(**{section: {key: value}}))
    assert text.startswith(f"{section}.{key} = ")
    assert reason in text
    assert ": give e.g. " in text or ", e.g. " in text


@pytest.mark.parametrize("value", [1e308, -1e308, 1e31])
def test_no_number_overflows_later(value: float) -> None:
    """Every key that takes a number, or numbers, refuses what single precision could not hold."""
    for section, model in SECTIONS.items():
        for key, field in model.model_fields.items():
            kinds = str(field.annotation)
            if "float" in kinds and "Literal" not in kinds:
                given = value if "tuple" not in kinds else [[value, value]] if key == "gaps" else [value, value]
                given = {"lam": given} if key == "scaled_over" else given
                given, words = ([[value, 0], [0, 1]], "have to be") if key == "lattice" else (given, "must")
                with pytest.raises(ConfigError, match=rf"{section}\.{key} = .* {words} "):
                    load_config(small(**{section: {key: given}}))
    with pytest.raises(ConfigError, match=r"train\.decay = .* must be at least 1e-30"):
        load_config(small(train={"decay": 5e-324}))


def test_the_advice_is_itself_accepted() -> None:
    for section, model in SECTIONS.items():
        for key, field in model.model_fields.items():
            for example in [*(field.examples or ()), *([] if field.is_required() else [field.default])]:
                model(**(SMALL.get(section, {}) | {key: example}))


# Names


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (small(train={"iteratons": 5}), "train.iteratons = 5 is an unknown key: did you mean train.iterations?"),
        (small(train={"optimizer": "adam"}), "did you mean train.optimiser?"),
        (small(train={"lr": 0.1}), "did you mean train.learning_rate?"),
        (small(family={"lambda": [0, 1]}), "did you mean family.lam?"),
        (small(system={"depth_mev": 3.0}), "did you mean system.depth_meV?"),
        (small(system={"lam": 1.0}), "system.lam = 1.0 is in the wrong place: did you mean family.lam?"),
        (small(model={"xyzzy": 1}), "[model] takes ansatz, width,"),
        (SMALL | {"training": {}}, "section [training] is unknown: did you mean [train]?"),
        (SMALL | {"qqq": {}}, "sections are system, family, model, train, sample"),
        (SMALL | {"iterations": 3}, "did you mean train.iterations?"),
        (SMALL | {"walkers": 3}, "did you mean train.walkers or sample.walkers?"),
        (SMALL | {"xyzzy": 3}, "outside sections only name and preset are allowed"),
        (SMALL | {"train": 3}, "train = 3 is not a section: write its keys under a line [train]"),
        (SMALL | {"name": 3}, "name = 3 is not a line of 1 to 200 printable characters"),
        ({}, "section [system] is missing: it needs electrons and supercell, or start from a preset"),
        ({"system": {"electrons": 6}}, "system.supercell is missing: give e.g. supercell = [[3, 0], [0, 3]]"),
    ],
)
def test_a_wrong_name_is_met_with_the_right_one(table: dict[str, Any], expected: str) -> None:
    (text,) = problems(table)
    assert expected in text


def test_a_misspelt_key_raises_no_second_complaint() -> None:
    (text,) = problems(small(system={"intraction": "dual_gate", "gate_distance": 1.0}))
    assert "did you mean system.interaction?" in text


# Relations


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (small(system={"electrons": 19}), "use at most 18 electrons or a larger supercell"),
        (small(system={"V0": 4.0}), "system.V0 is given without U"),
        (small(system={"U": 4.0}), "system.U is given without V0"),
        (small(system={"V0": 4.0, "U": 10.0, "dielectric": 5.0}), "V0, U (reduced units) and dielectric (laboratory"),
        (small(system={"U": 4.0, "period_nm": 8.0, "depth_meV": 1.0}), "and period_nm, depth_meV (laboratory"),
        (small(system={"phase_deg": 30.0}, family={"phase_deg": [20, 40]}), "system.phase_deg has no effect"),
        (small(system={"V0": 4.0, "U": 9.0}, family={"U": [8, 12]}), "system.U has no effect because family.U"),
        (small(system={"gate_distance": 1.0}), "system.gate_distance has no effect on interaction = 'coulomb'"),
        (small(family={"gate_distance": [1, 2]}), "family.gate_distance has no effect on interaction = 'coulomb'"),
        (small(system={"interaction": "dual_gate"}), "needs the distance to the gate(s) in a_M"),
        (small(system={"lattice": "square"}), "does not fit the potential 'moire', which is triangular"),
        (small(model={"width": 30}), "model.width = 30 is not a multiple of model.heads = 4: give e.g. width = 32"),
        (small(model={"kv_heads": 3}), "model.heads = 4 is not a multiple of model.kv_heads = 3"),
        (small(model={"active_experts": 4}), "must be fewer than model.experts = 4: give e.g. experts = 8"),
        (small(model={"width": 4}), "would be exactly zero; give e.g. width = 8 or orbitals = 'bloch'"),
        (
            small(model={"orbitals": "bloch", "bloch_cutoff": 3, "crystal_seed": False}),
            "model.bloch_cutoff = 3 keeps about 4 plane waves for 6 electrons of one spin: give at least 20",
        ),
        (
            small(model={"ansatz": "slater", "orbitals": "hartree_fock", "hf_cutoff": 3, "crystal_seed": False}),
            "model.hf_cutoff = 3 keeps about 4 plane waves for 6 electrons of one spin: give at least 20",
        ),
        (small(system={"twist": [0.25, 0]}, model={"complex": False}), "use complex = 'auto'"),
        (small(family={"scaled_over": {"U": [8.0, 9.0]}}), "names 'U', and [family] has intervals of lam alone"),
        (small(family={"lam": 200.0, "scaled_over": {"lam": [0.0, 2.0]}}), "exceeds more than 100 times"),
        (small(family={"lam": [0.4, 1.4], "gaps": [[0.3, 0.9]]}), "must lie inside family.lam = [0.4, 1.4]"),
        (
            small(family={"lam": [0.4, 1.4], "gaps": [[0.7, 0.9]]}, train={"groups": 1}),
            "train.groups = 1 is less than the 2 parts",
        ),
    ],
)
def test_values_that_do_not_fit_together(table: dict[str, Any], expected: str) -> None:
    (text,) = problems(table)
    assert expected in text
    with pytest.raises(ConfigError):
        Config(**table)


@pytest.mark.parametrize(
    "table",
    [
        small(system={"electrons": 18}),
        small(system={"electrons": [5, 4]}, model={"width": 8}),
        small(system={"interaction": "dual_gate", "gate_distance": 1.0}),
        small(system={"interaction": "single_gate"}, family={"gate_distance": [0.5, 1]}),
        small(system={"V0": 4.0}, family={"U": [8, 12]}),
        small(system={"lattice": "square", "depth_meV": 0}),
        small(system={"lattice": "square", "V0": 0, "U": 10.0}),
        small(model={"width": 4, "orbitals": "bloch"}),
        small(model={"width": 7, "ansatz": "slater"}),
        small(model={"kv_heads": 3, "active_experts": 9, "ansatz": "psiformer"}),
        small(system={"twist": [1.0, -2.0]}, model={"complex": False}),
    ],
)
def test_values_that_do_fit_together(table: dict[str, Any]) -> None:
    config = load_config(table)
    assert load_config(config.to_dict()) == config


def test_every_problem_is_reported_at_once() -> None:
    table = small(system={"electrons": 40}, train={"iterations": "many", "iteratons": 1}, model={"heads": 5})
    texts = problems(table, "sample.seed=x", "nonsense")
    beginnings = ("override", "train.iterations", "train.iteratons", "sample.seed", "system.electrons", "model.width")
    assert all(any(text.startswith(start) for text in texts) for start in beginnings)
    assert len(texts) == 7


def test_a_relation_between_faulty_values_is_not_reported() -> None:
    (text,) = problems(small(model={"heads": 5, "width": "wide"}))
    assert text.startswith("model.width")


def test_key_groups_name_existing_keys() -> None:
    assert set(MATERIAL_KEYS) | set(REDUCED_KEYS) <= set(SECTIONS["system"].model_fields)
    assert set(range_keys()) <= set(SECTIONS["system"].model_fields) & set(SECTIONS["family"].model_fields)
    assert all(field.description for model in SECTIONS.values() for field in model.model_fields.values())


# Layers and overrides


def test_reduced_units_replace_the_material_of_an_earlier_layer() -> None:
    table = small(system={"dielectric": 10.0})
    config = load_config(table, ["system.V0=4", "system.U=9"])
    assert config.energy_unit_meV is None and config.system.material is None
    back = load_config(config, ["system.dielectric=10.0"])
    assert back == load_config(table)


def test_an_interval_replaces_the_constant_of_an_earlier_layer() -> None:
    config = load_config(small(system={"phase_deg": 30.0}), ["family.phase_deg=[20, 40]"])
    assert config.family.phase_deg == (20.0, 40.0)


def test_override_values() -> None:
    config = load_config(
        "n6",
        [
            "train.precision=float64",
            'train.optimiser="adam"',
            "train.iterations = 5",
            "train.iterations=6",
            "family.lam=[0.5, 1]",
            "model.film=false",
            "name=my run",
            "train.time_limit_s=none",
        ],
    )
    train = config.train
    assert (train.precision, train.optimiser, train.iterations) == ("float64", "adam", 6)
    assert (config.family.lam, config.model.film, config.name) == ((0.5, 1.0), False, "my run")
    assert train.time_limit_s is None


def test_override_order_of_none() -> None:
    assert load_config("n6", ["train.seed=5", "train.seed=none"]).train.seed == 0
    assert load_config("n6", ["train.seed=none", "train.seed=5"]).train.seed == 5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.iterations", "is not section.key=value: write e.g. train.iterations=500"),
        ("=3", "is not section.key=value"),
        ("train.=3", "is not section.key=value"),
        ("trian.seed=3", "section [trian] is unknown, use system, family, model, train, sample"),
        ("train={}", "replaces a whole section: name a key"),
        ("train.iteratons=3", "did you mean train.iterations?"),
        ("train.seed.x=3", "train.seed.x = 3 is an unknown key"),
        ("seed=3", "did you mean train.seed or sample.seed?"),
        ("model.film=True", "model.film = 'True' is not true or false"),
        ("train.seed=", "train.seed = '' is not a whole number"),
        ("train.seed=1,000", "train.seed = '1,000' is not a whole number"),
        ("train.seed=1\nsample.seed = 2", "is not a whole number"),
        ("train.seed=2026-01-01", "is not a whole number"),
        ("preset=n7", "preset = 'n7' does not exist"),
        ("train.seedling=none", "train.seedling = 'none' is an unknown key"),
    ],
)
def test_bad_overrides(override: str, expected: str) -> None:
    (text,) = problems(small(), override)
    assert expected in text


# Files


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(load_config("n24").to_toml(), "utf-8")
    assert load_config(path) == load_config(str(path)) == load_config("n24")
    path.write_bytes(b"\xef\xbb\xbf" + preset_text("n3").replace("\n", "\r\n").encode())
    assert load_config(path) == load_config("n3")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'preset = "n6"\n[train]\nseed == 3\n', "line 3, column 7: not valid TOML, invalid value: seed == 3"),
        (b"[train\n", "line 1, column 7: not valid TOML"),
        (b'name = "x', "is not valid TOML"),
        (b"[train]\nseed = 1\nseed = 2\n", "line 3"),
        (b"[train]\n[train]\n", "line 2"),
        (b"seed = " + b"9" * 5000, "is not valid TOML"),
        (b"x = " + b"[" * 5000, "is nested too deeply"),
        (b"\x89HDF\r\n\x1a\n\x00\xff", "is not a text file"),
        ('name = "é"'.encode("latin-1"), "is not a text file"),
        ("[system]".encode("utf-16"), "is not a text file"),
        (b'{"system": {"electrons": 6}}', "line 1"),
        (b"system:\n  electrons: 6\n", "line 1"),
        (b"# " + b"x" * 2_000_000, "is not a configuration"),
        (b"", "section [system] is missing"),
    ],
)
def test_unusable_file(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    (text,) = problems(path)
    assert expected in text


def test_no_such_file(tmp_path: Path) -> None:
    assert "presets are n2, n3, n6" in problems("n7")[0]
    assert "is a directory" in problems(tmp_path)[0]
    assert "is not a configuration" in problems("/dev/null")[0]
    assert "a\\x00b" in problems("a\0b")[0]
    assert "a" * 50 in problems("a" * 5000)[0]
    assert "\\ud800" in problems("\ud800.toml")[0]
    assert "\\ud800" in problems(SMALL, "name=\ud800")[0]
    assert "is a file, a preset or a mapping, not 3" in problems(3)[0]
    assert problems("~nobody-of-this-name/x.toml")


# What a configuration is for


def test_complex_follows_the_twist() -> None:
    assert not load_config(SMALL).is_complex
    assert load_config(small(system={"twist": [0.25, 0]})).is_complex
    assert not load_config(small(system={"twist": [1, 0]})).is_complex
    assert load_config(small(model={"complex": True})).is_complex


def test_key_value_heads() -> None:
    assert ModelConfig().key_value_heads == 1
    assert ModelConfig(ansatz="psiformer").key_value_heads == 4


@pytest.mark.parametrize(
    ("system", "family", "meant"),
    [
        ({"phase_deg": 60.0}, {}, None),
        ({"phase_deg": -60.0}, {}, None),
        ({"phase_deg": 90.0}, {}, "phase_deg = -30 is"),
        ({"phase_deg": -170.0}, {}, "phase_deg = -50 is"),
        ({}, {"phase_deg": [40.0, 70.0]}, None),
        ({}, {"phase_deg": [70.0, 100.0]}, "phase_deg = [-50, -20] is"),
        ({"phase_deg": 90.0, "depth_meV": 0.0}, {}, None),
    ],
)
def test_a_crystal_that_is_not_in_the_wells_is_told_which_phase_is(system: Any, family: Any, meant: str | None) -> None:
    """The phase it is told has its deepest well at r = 0, and the same depths."""
    config = load_config(small(system=system, family=family, model={"crystal_seed": True}))
    found = [note for note in config.notes() if "crystal orbitals are at r = 0" in note]
    assert len(found) == (meant is not None)
    if meant is not None:
        assert f"{meant} the same potential with wells at r = 0" in found[0]
        given = float(np.mean(config.family.ranges.get("phase_deg", (config.system.phase_deg,) * 2)))  # type: ignore[attr-defined]
        told = float(np.mean(np.array(json.loads(meant.split(" = ")[1].removesuffix(" is")))))
        wells, same = (np.cos(np.deg2rad(phase + 120.0 * np.arange(3))) for phase in (given, told))
        assert np.argmax(wells) != 0 and np.argmax(same) == 0
        np.testing.assert_allclose(np.sort(same), np.sort(wells), atol=1e-12)


def test_notes() -> None:
    assert load_config(SMALL).notes() == ["filling 2/3: 6 electrons on 9 moiré cells"]
    stripe = load_config(small(system={"electrons": 8, "supercell": [[6, 0], [0, 2]]})).notes()
    assert "filling 2/3: 8 electrons on 12 moiré cells" in stripe
    assert "the supercell breaks the threefold rotation symmetry of the lattice" in stripe
    assert "the √3×√3 crystal of filling 2/3 does not fit the supercell" in stripe
    idle = load_config(small(system={"depth_meV": 0}, model={"ansatz": "slater", "experts": 9, "width": 8})).notes()
    assert "λ has no effect: the moiré depth is zero" in idle
    assert any("no effect with ansatz 'slater': model experts, width" in note for note in idle)
    assert any("8192×8192" in note for note in load_config(small(train={"walkers": 1024})).notes())


@pytest.mark.parametrize(
    ("supercell", "lattice", "symmetric"),
    [
        ([[1, 1], [-1, 2]], "triangular", True),
        ([[2, 1], [-1, 3]], "triangular", True),
        ([[3, 3], [-3, 6]], "triangular", True),
        ([[3, 0], [3, 3]], "triangular", True),
        ([[2, 0], [0, 3]], "triangular", False),
        ([[2, 1], [-1, 2]], "triangular", False),
        ([[2, 1], [-1, 2]], "square", True),
        ([[2, 1], [0, 2]], "square", False),
    ],
)
def test_symmetry_of_the_supercell(supercell: list[list[int]], lattice: str, symmetric: bool) -> None:
    system = {"electrons": 1, "supercell": supercell, "lattice": lattice, "depth_meV": 0}
    notes = load_config({"system": system}).notes()
    assert any("rotation symmetry" in note for note in notes) is not symmetric


def test_fingerprint_is_stable() -> None:
    config = load_config("n6")
    digest = config.fingerprint()
    assert len(digest) == 64 and int(digest, 16)
    assert load_config("n6", ["name=other"]).fingerprint() == digest
    assert load_config("n6", ["system.depth_meV=15"]).fingerprint() == digest, "a default spelt out changes nothing"
    longer = load_config("n6", ["train.iterations=2345"])
    assert longer.fingerprint() != digest
    assert longer.fingerprint("system", "family", "model") == config.fingerprint("system", "family", "model")
    code = "from qernel.config import load_config; print(load_config('n6').fingerprint())"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == digest


def test_import_is_light() -> None:
    code = "import sys, qernel.config; print([m for m in ('jax', 'scipy', 'tomlkit') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_hamiltonian_of_the_default_material() -> None:
    h = load_config("n6").hamiltonian()
    assert h.electrons == (6, 0) and h.supercell.cells == 9
    found = [h.constants[name] for name in ("V0", "U", "phase_deg")]
    assert found == pytest.approx([4.443709, 10.623473, 45.0], abs=1e-6)
    assert h.parameters == ("lam",) and h.ranges == ((0.4, 1.4),)


def test_hamiltonian_with_every_parameter() -> None:
    overrides = [
        "system.V0=3",
        "system.interaction=single_gate",
        "family.U=[8, 12]",
        "family.phase_deg=[30, 50]",
        "family.gate_distance=[0.5, 2]",
        "system.twist=[0.5, 0]",
    ]
    h = load_config("n6", overrides).hamiltonian()
    assert h.parameters == ("lam", "U", "phase_deg", "gate_distance")
    assert h.ranges == ((0.4, 1.4), (8.0, 12.0), (30.0, 50.0), (0.5, 2.0))
    assert (h.constants["V0"], h.twist) == (3.0, (0.5, 0.0))
    assert [term.name for term in h.terms] == ["moire", "single_gate"]


def test_choices_match_the_physics() -> None:
    from qernel.hamiltonian.terms import interactions, parameters, potentials
    from qernel.primitive import LATTICES

    fields = SECTIONS["system"].model_fields
    assert get_args(fields["interaction"].annotation) == tuple(interactions())
    for name in potentials():
        assert load_config(small(system={"potential": name})).system.potential == name
    for lattice in LATTICES:
        assert load_config(small(system={"lattice": lattice, "depth_meV": 0})).system.lattice == lattice
    conditioned = [name for name, parameter in parameters().items() if parameter.conditioned]
    others = ("gaps", "systems", "scaled_over")
    assert [key for key in SECTIONS["family"].model_fields if key not in others] == conditioned


def test_errors_are_qernel_errors() -> None:
    assert issubclass(ConfigError, QernelError) and not issubclass(QernelError, ValueError)
    assert ConfigError("one").problems == ["one"]


# Fuzz: whatever comes in, a Config or a ConfigError comes out

FUZZ = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

KEYS = st.sampled_from(
    ["name", "preset", *SECTIONS, *sorted({key for model in SECTIONS.values() for key in model.model_fields})]
)
NAMES = KEYS | st.text(max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["n6", "qernel", "auto", "float64", "dual_gate", 10**400, b"x", object()])
    | st.dates()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


def accepts_or_explains(source: Any, overrides: list[str]) -> None:
    """The promise of `load_config`; an accepted configuration also round-trips."""
    try:
        config = load_config(source, overrides)
    except ConfigError as error:
        assert error.problems and all(text and text.isprintable() for text in error.problems)
        assert len(str(error)) < 400 * (len(error.problems) + 1)
        return
    assert load_config(tomllib.loads(config.to_toml())) == config
    assert json.dumps(config.to_dict(), allow_nan=False)
    assert config.notes() and config.fingerprint()


@FUZZ
@given(st.dictionaries(NAMES | st.integers(), VALUES, max_size=5), st.lists(st.text(max_size=20), max_size=2))
def test_fuzz_mappings(table: dict[Any, Any], overrides: list[str]) -> None:
    accepts_or_explains(table, overrides)


@FUZZ
@given(st.data())
def test_fuzz_one_key_of_a_good_configuration(data: st.DataObject) -> None:
    changes: dict[str, Any] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        section = data.draw(st.sampled_from(sorted(SECTIONS)))
        key = data.draw(st.sampled_from(sorted(SECTIONS[section].model_fields)))
        changes.setdefault(section, {})[key] = data.draw(VALUES)
    accepts_or_explains({"preset": "n6"} | changes, [])
    accepts_or_explains(small(**changes), [])


@FUZZ
@given(
    st.lists(
        st.builds(
            "{}.{}={}".format, st.sampled_from(sorted(SECTIONS)) | st.text(max_size=4), NAMES, st.text(max_size=12)
        )
        | st.builds("{}={}".format, NAMES, SCALARS.map(str)),
        max_size=3,
    )
)
def test_fuzz_overrides(overrides: list[str]) -> None:
    accepts_or_explains("n6", overrides)


@FUZZ
@given(st.sampled_from(presets()), st.integers(0, 2000), st.integers(0, 30), st.binary(max_size=12))
def test_fuzz_damaged_files(
    tmp_path_factory: pytest.TempPathFactory, name: str, start: int, cut: int, junk: bytes
) -> None:
    content = preset_text(name).encode()
    start %= len(content)
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    path.write_bytes(content[:start] + junk + content[start + cut :])
    accepts_or_explains(path, [])


@FUZZ
@given(st.text(max_size=20).filter(lambda text: "/" not in text))
def test_fuzz_paths(text: str) -> None:
    if text not in presets():
        assert problems(text + "\u2603.toml")


@FUZZ
@given(VALUES)
def test_fuzz_the_constructor(value: Any) -> None:
    for table in ({"system": value}, small() | {"model": value}, small() | {"name": value}):
        try:
            Config(**table)
        except ConfigError as error:
            assert error.problems


def test_later_keys_leave_old_fingerprints_alone() -> None:
    """The stored run of the shipped model, written before these keys existed, can still be resumed."""
    from qernel.training.checkpoint import MIGRATIONS
    from qernel.training.tensors import read_tensors

    study = Path(__file__).parent / "data" / "earlier_run"
    stored = read_tensors(study / "checkpoint.safetensors", MIGRATIONS).metadata["fingerprint"]
    assert load_config(study / "config.toml").fingerprint() == stored
    assert load_config(study / "config.toml", ["model.hf_order=3"]).fingerprint() != stored


def test_sections_that_a_command_does_not_use_are_not_checked() -> None:
    """More electrons than features, a value that is none and a key that does not exist: of no concern to the system."""
    table = small(
        system={"electrons": 18}, family={"gaps": [[0.5, 0.6]], "lam": [0.4, 1.0]}, model={"width": 0, "x": 1}
    )
    table["train"] = {"groups": 1}
    config = load_config(table, ["sample.walkers=none", "model.y=2"], sections=("system", "family"))
    assert config.system.count == 18 and config.model == ModelConfig()
    assert len(problems(table)) > 2
    for faulty, text in (({"electrons": 19}, "19 electrons"), ({"electrons": 0}, "at least one electron")):
        with pytest.raises(ConfigError, match=text) as caught:
            load_config(small(system=faulty, model={"width": 0}), sections=("system", "family"))
        assert len(caught.value.problems) == 1
    with pytest.raises(ConfigError, match="section"):
        load_config(small(modle={}), sections=("system", "family"))

"""One set of weights in several systems: their configuration, and training in all of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from qernel.config import Config, load_config
from qernel.errors import ConfigError

LEM: dict[str, Any] = {
    "system": {"electrons": 6, "supercell": [[3, 0], [0, 3]]},
    "family": {"lam": [0.4, 1.4]},
    "model": {"ansatz": "lem"},
    "train": {"groups": 4, "walkers": 16},
}
LARGE = {"electrons": 24, "supercell": [[6, 0], [0, 6]], "twist": [0.5, 0.0]}
TWO = {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "groups": 2}


def several(*systems: Any, **sections: dict[str, Any]) -> Config:
    """The configuration with further systems and some keys changed."""
    table = {key: dict(values) for key, values in LEM.items()}
    for section, values in sections.items():
        table[section] = table.get(section, {}) | values
    table["family"]["systems"] = list(systems)
    return load_config(table)


def test_every_system_has_what_it_does_not_say_from_the_first() -> None:
    config = several(LARGE, TWO | {"walkers": 8}, {"twist": [1 / 3, -1 / 3]})
    assert [system.label for system in config.systems] == [
        "N=6, 3×3",
        "N=24, 6×6, twist (1/2, 0)",
        "N=2, (1 1; -1 2)",
        "N=6, 3×3, twist (1/3, -1/3)",
    ]
    assert [(one.train.groups, one.train.walkers) for one in config.members] == [(4, 16), (4, 16), (2, 8), (4, 16)]
    assert [one.is_complex for one in config.members] == [False, False, False, True]
    assert [h.count for h in config.hamiltonians()] == [6, 24, 2, 6]
    assert {(h.parameters, h.ranges) for h in config.hamiltonians()} == {(("lam",), ((0.4, 1.4),))}
    assert load_config(config.to_dict()) == config


def test_a_configuration_of_one_system_is_that_system() -> None:
    config = load_config(LEM)
    assert config.members == (config,) and config.systems == (config.system,)
    assert several().fingerprint() == config.fingerprint()


def test_the_fingerprint_is_that_of_what_there_is() -> None:
    short, long = several(LARGE), several(LARGE | {"electrons": [24, 0], "groups": 4, "walkers": 16, "twist": [1.5, 2]})
    assert short.fingerprint() == long.fingerprint() != load_config(LEM).fingerprint()
    assert several(LARGE | {"walkers": 8}).fingerprint() != short.fingerprint()


@pytest.mark.parametrize(
    ("systems", "sections", "expected"),
    [
        ([LARGE], {"model": {"ansatz": "qernel"}}, "use ansatz = 'lem', or leave the systems out"),
        ([LARGE, {}], {}, "entry 2 is the same system as [system] (N=6, 3×3)"),
        ([{"supercell": [[3, 3], [0, 3]], "twist": [1, 0]}], {}, "entry 1 is the same system as [system]"),
        ([{"twist": [0.25, 0]}, {"twist": [0.25, 1]}], {}, "entry 2 is the same system as entry 1 of it"),
        ([{"electrons": 40}], {}, "entry 1: system.electrons: 40 electrons on 9 moiré cells"),
        ([{"electrons": [3, 3]}], {}, "either for polarised electrons or for two spin species"),
        ([LARGE | {"groups": 1}], {"train": {"exchange": 2}}, "entry 1: train.exchange = 2 swaps walkers"),
        ([{"twist": [0.25, 0]}], {"model": {"complex": False}}, "entry 1: model.complex = false cannot satisfy"),
        (
            [{"electrons": 4, "supercell": [[2, 0], [0, 3]]}],
            {"train": {"crystal_from": 0.8}},
            "entry 1: train.crystal_from = 0.8 needs filling 1/3 or 2/3",
        ),
        ([{"electron": 3}], {}, "family.systems, entry 1 has an unknown key electron: did you mean electrons?"),
        (
            [LARGE, {"twist": [0.1]}],
            {},
            "entry 2: twist = [0.1] is not a pair of numbers: give e.g. twist = [0.5",
        ),
        ([LARGE | {"walkers": 1}], {}, "entry 1: walkers = 1 must be at least 2"),
        ([3], {}, "entry 1 = 3 is not a table: give e.g. {electrons = 24, supercell = [[6, 0], [0, 6]]}"),
    ],
)
def test_systems_that_do_not_go_together(systems: list[Any], sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        several(*systems, **sections)
    (text,) = caught.value.problems
    assert expected in text and text.startswith("family.systems")


def test_another_density_is_worth_a_remark() -> None:
    assert len(several(LARGE).notes()) == 1
    assert "filling 1/3 in N=3, 3×3" in several({"electrons": 3}).notes()[-1]

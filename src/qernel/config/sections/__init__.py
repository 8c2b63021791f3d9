"""The sections of a configuration and every default, once.

Lengths are in the moiré period a_M, energies in E0 = ħ²/(m* a_M²), unless a key says otherwise.
A section checks each value alone; relations between values are checked by `qernel.config.schema.Config`.
"""

from qernel.config.sections.base import Section
from qernel.config.sections.counted import EXTENT, UNCOUNTED
from qernel.config.sections.family import FamilyConfig, range_keys
from qernel.config.sections.model import ModelConfig
from qernel.config.sections.sample import SampleConfig
from qernel.config.sections.system import MATERIAL_KEYS, REDUCED_KEYS, SystemConfig
from qernel.config.sections.terms import later_keys, refresh
from qernel.config.sections.train import TrainConfig
from qernel.hamiltonian.terms import watch

__all__ = [
    "EXTENT",
    "MATERIAL_KEYS",
    "REDUCED_KEYS",
    "SECTIONS",
    "UNCOUNTED",
    "FamilyConfig",
    "ModelConfig",
    "SampleConfig",
    "Section",
    "SystemConfig",
    "TrainConfig",
    "later_keys",
    "range_keys",
]

SECTIONS: dict[str, type[Section]] = {
    "system": SystemConfig,
    "family": FamilyConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
}
"""Sections by name, in the order they are written."""

refresh()
watch(refresh)

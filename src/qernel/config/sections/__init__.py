"""The sections of a configuration and every default, once.

Lengths are in the moiré period a_M, energies in E0 = ħ²/(m* a_M²), unless a key says otherwise.
A section checks each value alone; relations between values are checked by `qernel.config.schema.Config`.
"""

from qernel.config.sections.base import Section
from qernel.config.sections.counted import EXTENT, LATER_KEYS, UNCOUNTED
from qernel.config.sections.family import RANGE_KEYS, FamilyConfig
from qernel.config.sections.model import ModelConfig
from qernel.config.sections.sample import SampleConfig
from qernel.config.sections.system import MATERIAL_KEYS, REDUCED_KEYS, SystemConfig
from qernel.config.sections.train import TrainConfig

__all__ = [
    "EXTENT",
    "LATER_KEYS",
    "MATERIAL_KEYS",
    "RANGE_KEYS",
    "REDUCED_KEYS",
    "SECTIONS",
    "UNCOUNTED",
    "FamilyConfig",
    "ModelConfig",
    "SampleConfig",
    "Section",
    "SystemConfig",
    "TrainConfig",
]

SECTIONS: dict[str, type[Section]] = {
    "system": SystemConfig,
    "family": FamilyConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
}
"""Sections by name, in the order they are written."""

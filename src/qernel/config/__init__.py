"""Configuration of a calculation: schema, defaults, presets and how they are read.

Importing this package does not import jax.
"""

from qernel.config.load import load_config, preset_text, presets
from qernel.config.schema import Config
from qernel.config.sections import SECTIONS, FamilyConfig, ModelConfig, SampleConfig, SystemConfig, TrainConfig

__all__ = [
    "SECTIONS",
    "Config",
    "FamilyConfig",
    "ModelConfig",
    "SampleConfig",
    "SystemConfig",
    "TrainConfig",
    "load_config",
    "preset_text",
    "presets",
]

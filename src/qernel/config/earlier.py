"""What configurations meant before some keys were added: what is stored without them keeps its meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from qernel.config.orbitals import FOLLOWING, following
from qernel.config.twist import earlier_meaning, twist_as_stored

if TYPE_CHECKING:
    from qernel.config.schema import Config


class Meaning(NamedTuple):
    """What a configuration meant to earlier versions.

    Attributes:
        config: the same in words of today.
        what: was otherwise, in words that follow "an earlier version, whose".
        override: what makes a configuration mean that today.
    """

    config: Config
    what: str
    override: str


def uncounted(config: Config) -> set[str]:
    """The keys of `FOLLOWING` that do not enter a fingerprint."""
    used = following(config)
    return {key for key in FOLLOWING.values() if key != used or getattr(config.model, key) == 1}


def meanings(config: Config) -> Iterator[Meaning]:
    """Every other meaning that a configuration had."""
    twist = earlier_meaning(config)
    if twist is not None:
        what = "system.twist belongs to the reduced supercell vectors"
        yield Meaning(twist, what, "system.twist_along=reduced")
    key = following(config)
    if key is not None and getattr(config.model, key) != 1:
        yield Meaning(_along_lam(config, key), "orbitals follow λ alone", f"model.{key}=1")
        if twist is not None:
            both = f"system.twist_along=reduced --set model.{key}=1"
            yield Meaning(_along_lam(twist, key), "twist and orbitals had another meaning", both)


def as_stored(config: Config, origin: str, changed: Collection[str] = ()) -> Config:
    """A configuration that Qernel has stored, with the meaning it had when it was written.

    Args:
        config: as it is read today.
        origin: where it is from, for a sentence where a twist has another meaning today.
        changed: keys ``section.key`` that were given anew, and do not mean what they did.
    """
    if "system.twist" not in changed:
        config = twist_as_stored(config, origin)
    key = following(config)
    given = key in config.model.model_fields_set or any(name.startswith("family.") for name in changed)
    return config if key is None or given else _along_lam(config, key)


def _along_lam(config: Config, key: str) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update={key: 1})})

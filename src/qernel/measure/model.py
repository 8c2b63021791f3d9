"""One trained wavefunction and the family it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel import runtime
from qernel.along import named
from qernel.config import Config
from qernel.errors import RunError
from qernel.hamiltonian.parameters import LARGEST
from qernel.hamiltonian.terms import parameter
from qernel.measure import place, verbs
from qernel.measure.card import Card
from qernel.measure.state import State
from qernel.provenance import identity
from qernel.text import html_facts, meant
from qernel.training.progress import Progress

if TYPE_CHECKING:
    from qernel.measure.journal import Journal


@dataclass(frozen=True, repr=False)
class Model:
    """One trained wavefunction and the family it was trained on.

    Attributes:
        name: of the shipped model, or the run folder's.
        config: the configuration that made it.
        wavefunction: the ansatz with its trained parameters.
        card: what is known about it (accuracy, range, caveats); None for a plain run.
        journal: where records of its chains are kept (`remembering`).
        start: where its chains start (`with_start`); None: as the configuration says.
        training: how far its run had come; None where its file does not say (shipped models, earlier versions).
        folder: where results of it are; None where there is none.
        moved: how it came into another system than that of its training (`on`); None: it did not.
    """

    name: str
    config: Config
    wavefunction: Any = field(repr=False)
    card: Card | None = field(default=None, repr=False)
    journal: Journal | None = field(default=None, repr=False, compare=False)
    start: str | None = field(default=None, repr=False, compare=False)
    training: Progress | None = field(default=None, repr=False, compare=False)
    folder: Path | None = field(default=None, repr=False, compare=False)
    moved: place.Moved | None = field(default=None, repr=False)
    _samplers: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Model({self.name!r}: {self.system})"

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles are without compiled samplers, which hold functions that cannot be pickled."""
        return {**self.__dict__, "_samplers": {}}

    def _repr_html_(self) -> str:
        facts = [*self._about.items()]
        if self.training is not None and not self.training.complete:
            facts.append(("training", self.training.sentence))
        if self.card is not None:
            facts += [("made by", self.card.made_by), ("not good for", " ".join(self.card.not_good_for))]
        asked = "model.at(λ).energy(), model.query([...]), model.scan([...]), model.observe([...], NAMES)"
        return html_facts(f"Model {self.name}: {self.system}", [*facts, ("ask", asked)])

    @property
    def system(self) -> str:
        """What it describes, in words."""
        return place.described(self)

    @property
    def _about(self) -> dict[str, str]:
        ranges = [f"{named(name).symbol} from {low:g} to {high:g}" for name, (low, high) in self.ranges.items()]
        return {
            "wavefunction": f"{self.config.model.ansatz} with {self.parameters:,} parameters",
            "trained on": ", ".join(ranges),
        }

    @property
    def hamiltonian(self) -> Any:
        """The Hamiltonian family."""
        return self.wavefunction.hamiltonian

    @cached_property
    def parameters(self) -> int:
        """Number of trainable real numbers."""
        from qernel.wavefunction import parameter_count

        return parameter_count(self.wavefunction)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The interval each conditioning parameter was trained on, λ first."""
        return dict(zip(self.hamiltonian.parameters, self.hamiltonian.ranges, strict=True))

    @property
    def reach(self) -> dict[str, tuple[float, float]]:
        """The interval in which each parameter may be asked for: half a training interval more on both sides.

        No parameter leaves its bounds, and none goes below its training interval whose smallest value decides how many
        waves an interaction is summed over: a gate.
        """
        result = {}
        for name, (low, high) in self.ranges.items():
            margin = 0.5 * (high - low) if high > low else 0.25 * abs(high) or 0.25
            about = parameter(name)
            floor = low if about.reach else about.least
            # Rounded, because it is printed and the page sends it back; a floor is never crossed.
            result[name] = (max(round(low - margin, 9), floor), min(round(high + margin, 9), about.most))
        return result

    def at(self, lam: float, *, extrapolate: bool = False, **others: float) -> State:
        """The state at λ and, for models conditioned on more, the other parameters.

        Args:
            lam: factor on the moiré depth.
            extrapolate: answer beyond `reach` as well, where numbers mean little.
            others: values of the other conditioning parameters; their mid-range by default.

        Raises:
            RunError: for a parameter the model does not have, a value that is not a number, or one beyond `reach`.
            QernelError: for a gate closer than those it was trained on: its interaction is not summed for them.

        >>> import qernel
        >>> qernel.load("n6").at(1.05)
        State(model='n6', lam=1.05)
        """
        ranges = self.ranges
        unknown = sorted(set(others) - set(ranges))
        if unknown:
            raise RunError(
                f"{self.name} is not conditioned on {', '.join(unknown)}, only on {', '.join(ranges)}"
                + meant(unknown[0], ranges)
            )
        values = self.hamiltonian.middle | others | {"lam": lam}
        point = np.array([float(values[name]) for name in ranges])
        if not (np.abs(point) <= LARGEST).all():
            within = f"must be numbers within ±{LARGEST:g}"
            raise RunError(f"{dict(zip(ranges, point.tolist(), strict=True))} {within}")
        self.hamiltonian.interaction.require(self.hamiltonian.numbers(point))
        if not extrapolate:
            self._refuse_far(dict(zip(ranges, point.tolist(), strict=True)))
        return State(self, point)

    def _refuse_far(self, values: Mapping[str, float]) -> None:
        for name, (low, high) in self.reach.items():
            if not low - 1e-9 <= values[name] <= high + 1e-9:
                start, end = self.ranges[name]
                shown = self.config.system.laboratory(name, parameter(name).unit)
                units = ""
                if shown is not None and shown.unit:
                    first, last = sorted((shown.convert(low), shown.convert(high)))
                    units = f" ({shown.symbol or name} {first:.4g} to {last:.4g} {shown.unit})"
                raise RunError(
                    f"{name} = {values[name]:g} is far outside [{start:g}, {end:g}], on which {self.name} was trained: "
                    f"give {low:g} to {high:g}{units}, or ask for extrapolation "
                    "(--extrapolate; in Python model.at(..., extrapolate=True))"
                )

    @contextmanager
    def remembering(self, folder: Path) -> Iterator[Model]:
        """The same model, whose chains at each point are kept in a folder until the block has ended without an error.

        A measurement that was cut short and is repeated with the same folder draws only those that are missing, and
        gives the same numbers as if it had not been. Chains that swap configurations between points are not kept.

        Args:
            folder: for a file of about 8 N bytes per chain and record at each point.
        """
        from qernel.measure.journal import Journal

        journal = Journal(folder, identity(self))
        yield replace(self, journal=journal)
        journal.clear()

    def with_start(self, start: str) -> Model:
        """The same model, whose chains start ``spread`` over the cell, or as crystals in their three ``registries``.

        Raises:
            RunError: for another start, or if its system has no registries.
        """
        if start not in ("spread", "registries"):
            raise RunError(f"chains cannot start {start!r}: use spread or registries")
        if start == "registries":
            from qernel.sampling.starts import require_registries

            require_registries(self.hamiltonian)
        return replace(self, start=start, _samplers={})

    @property
    def crystal_from(self) -> float | None:
        """λ from which chains start as crystals; None: never."""
        chosen = {"spread": None, "registries": 0.0}
        return self.config.sample.crystal_from if self.start is None else chosen[self.start]

    on = place.on
    query, scan, map, observe = verbs.query, verbs.scan, verbs.map, verbs.observe
    diagnose, project = verbs.diagnose, verbs.project

    def sampled_like(self, other: Model) -> Model:
        """This model, sampled by what is compiled for another one of the same configuration, if it is of the same.

        A run that is training has new parameters every few seconds, and compilation takes longer than that.
        """
        if other.config == self.config:
            compiled = {walkers: sampler.of(self.wavefunction) for walkers, sampler in other._samplers.items()}
            self._samplers.update(compiled)
        return self

    def sampling(self, samples: int | None, walkers: int | None, seed: int | None) -> tuple[Any, dict[str, Any]]:
        """A chain sampler and its settings; None stands for what ``[sample]`` says.

        Raises:
            RunError: for a number that is too small.
        """
        sample = self.config.sample
        for name, value, least in (("samples", samples, 2), ("walkers", walkers, 2), ("seed", seed, 0)):
            if value is not None and int(value) != value:
                raise RunError(f"{name} = {value} is no whole number: give one of at least {least}")
            if value is not None and value < least:
                raise RunError(f"{name} = {value} is too small: give at least {least}")
        return self.sampler(walkers or sample.walkers), {
            "samples": samples or sample.samples,
            "moves": sample.moves,
            "burn_in": sample.burn_in,
            "seed": sample.seed if seed is None else seed,
            "target": sample.acceptance,
        }

    def sampler(self, walkers: int) -> Any:
        """The chain sampler for a number of walkers, compiled once."""
        runtime.refuse_forked()
        from qernel.estimators.chains import ChainSampler

        if walkers not in self._samplers:
            train = self.config.train
            self._samplers[walkers] = ChainSampler(
                self.wavefunction,
                walkers,
                laplacian=train.laplacian,
                chunk=train.chunk,
                crystal_from=self.crystal_from,
            )
        return self._samplers[walkers]

"""Trained models: load one, choose a point of its family, ask.

>>> import qernel
>>> model = qernel.load("n6")                # doctest: +SKIP
>>> model.at(1.05).energy().energy           # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qernel import runtime
from qernel.config import Config, load_config
from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray, holds_root_three
from qernel.storage import outside

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.observables import Observable

runtime.require_x64()

_MODEL_FILE = "model.safetensors"
_CARD_FILE = "card.json"


class Energies(NamedTuple):
    """Energies per electron at one point, with how they were sampled.

    ``extrapolating``: outside the interval the model was trained on; ``in_gap``: in a gap of it, so interpolated.
    ``order_parameter`` is ⟨|ρ_K|²⟩ of the same samples, None where K is no wave vector of the supercell. ``direction``
    says where the chains came from: ``fresh``, or carried ``up`` or ``down`` in λ.
    """

    lam: float
    energy: Quantity
    kinetic: Quantity
    moire: Quantity
    interaction: Quantity
    variance: float
    acceptance: float
    autocorrelation: float
    rhat: float
    effective_samples: float
    extrapolating: bool
    order_parameter: Quantity | None = None
    order_parameter_rhat: float = float("nan")
    direction: str = "fresh"
    in_gap: bool = False

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{getattr(self, name)._repr_html_()}</td></tr>"
            for name in ("energy", "kinetic", "moire", "interaction")
        )
        note = f" ({text})" if (text := outside(self._asdict())) else ""
        return f"<table><caption>λ = {self.lam:g}{note}, per electron</caption>{rows}</table>"


@dataclass(frozen=True)
class Density:
    """Electron density on a grid of the supercell.

    Attributes:
        values: ``[n, n]`` in electrons per a_M², cell (i, j) centred at fractional coordinates (i+½, j+½)/n.
        errors: one-sigma errors ``[n, n]``.
        vectors: supercell vectors as rows ``[2, 2]`` in a_M.
        primitive: moiré lattice vectors as rows ``[2, 2]``.
    """

    values: FloatArray
    errors: FloatArray
    vectors: FloatArray
    primitive: FloatArray

    def plot(self) -> Any:
        """A map in real coordinates with moiré lattice and supercell (a matplotlib figure)."""
        from qernel.plots.density import density_map

        return density_map(self.values, self.vectors, self.primitive, origin=0.5 / len(self.values))


@dataclass(frozen=True)
class State:
    """The wavefunction of a model at one point of its family."""

    model: Model
    point: npt.NDArray[np.float64]

    @property
    def lam(self) -> float:
        """λ of this point."""
        return float(self.point[0])

    @property
    def extrapolating(self) -> bool:
        """Whether any parameter lies outside the interval the model was trained on."""
        ranges = self.model.ranges.values()
        # A tolerance, because the ends of a printed range are rounded.
        return any(not low - 1e-9 <= p <= high + 1e-9 for p, (low, high) in zip(self.point, ranges, strict=True))

    @property
    def in_gap(self) -> bool:
        """Whether λ lies inside a gap of the interval the model was trained on."""
        return any(low + 1e-9 < self.lam < high - 1e-9 for low, high in self.model.hamiltonian.gaps)

    def __repr__(self) -> str:
        return f"State(model={self.model.name!r}, lam={self.lam:g})"

    def log_psi(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """ψ = sign · exp(log) of configurations.

        Args:
            positions: ``[..., N, 2]`` in a_M.

        Returns:
            ``(sign, log)`` of shape ``[...]``; for complex ψ the log is complex and the sign 1.
        """
        return self.amplitude.log_psi(positions)

    def log_psi_gradient(self, positions: npt.ArrayLike) -> npt.NDArray[Any]:
        """∂ log ψ/∂p of configurations, for λ and the other conditioning parameters.

        Args:
            positions: ``[..., N, 2]`` in a_M.

        Returns:
            ``[..., p]``; complex for complex ψ.
        """
        return self.amplitude.log_psi_gradient(positions)

    @property
    def amplitude(self) -> Any:
        """ψ as a function of arrays of configurations (`qernel.wavefunction.evaluate.PointAmplitude`)."""
        from qernel.wavefunction.evaluate import PointAmplitude

        return PointAmplitude(self.model.wavefunction, self.point, self.model.config.train.precision)

    def energy(
        self,
        samples: int | None = None,
        *,
        walkers: int | None = None,
        seed: int | None = None,
        start: npt.ArrayLike | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Energies:
        """Energy per electron and its parts, with errors that account for autocorrelation.

        Args:
            samples: records per chain; default from the model's ``[sample]`` section.
            walkers: independent chains; default likewise.
            seed: of the chains; default likewise.
            start: configurations ``[walkers, N, 2]`` in a_M before equilibration; spread over the cell by default.
            progress: called with the fraction done.
        """
        records = list(self.records(samples, walkers, seed, energies=True, start=start, progress=progress))
        return self.energies_of(records, self.model.config.sample.seed if seed is None else seed)

    def energies_of(self, records: Sequence[Record], seed: int) -> Energies:
        """What records with local energies say.

        Args:
            records: of this state, from `records`.
            seed: they were drawn with.
        """
        from qernel.estimators.order_parameter import crystal_order
        from qernel.estimators.statistics import summarise

        count = self.model.hamiltonian.count
        chains = len(records[0].kinetic)
        source = f"{len(records)} records of {chains} chains, seed {seed}, model {self.model.name}"
        series = {
            name: np.stack([getattr(record, name) for record in records], axis=1) / count
            for name in ("kinetic", "moire", "interaction")
        }
        total = series["kinetic"] + series["moire"] + series["interaction"]
        unit, meV = "E0", self.model.config.energy_unit_meV
        summaries = {name: summarise(values) for name, values in {"energy": total, **series}.items()}
        parts: dict[str, Any] = {name: Quantity(s.mean, s.error, unit, source, meV) for name, s in summaries.items()}
        order, order_rhat = None, float("nan")
        cell = self.model.hamiltonian.supercell
        if holds_root_three(cell):
            found = summarise(np.stack([crystal_order(record.positions, cell) for record in records], axis=1))
            order, order_rhat = Quantity(found.mean, found.error, "", source), found.rhat
        return Energies(
            lam=self.lam,
            **parts,
            variance=summaries["energy"].variance,
            acceptance=float(np.mean([record.acceptance for record in records])),
            autocorrelation=summaries["energy"].autocorrelation,
            rhat=summaries["energy"].rhat,
            effective_samples=summaries["energy"].effective_samples,
            extrapolating=self.extrapolating,
            order_parameter=order,
            order_parameter_rhat=order_rhat,
            in_gap=self.in_gap,
        )

    def sample(
        self, samples: int | None = None, *, walkers: int | None = None, seed: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Configurations drawn from |ψ|².

        Returns:
            Positions ``[chains, samples, N, 2]`` in a_M, inside the supercell.
        """
        records = self.records(samples, walkers, seed, energies=False, progress=None)
        return np.stack([record.positions for record in records], axis=1)

    def density(
        self,
        grid: int = 48,
        samples: int | None = None,
        *,
        walkers: int | None = None,
        seed: int | None = None,
    ) -> Density:
        """Electron density on a ``grid × grid`` mesh of the supercell; integrates to N exactly."""
        from qernel.observables.density import Density as Observed

        measured = self.observe(Observed(grid=grid), samples=samples, walkers=walkers, seed=seed)
        cell = self.model.hamiltonian.supercell
        return Density(measured["density"].values, measured["density_error"].values, cell.vectors, cell.primitive)

    def observe(
        self,
        *observables: str | Observable,
        samples: int | None = None,
        walkers: int | None = None,
        seed: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> xarray.Dataset:
        """Observables on the same samples, with errors that account for autocorrelation.

        ``state.structure_factor(cutoff=3.0)`` is short for ``state.observe(StructureFactor(cutoff=3.0))``, and so for
        every registered observable; ``energy`` and ``density`` have methods of their own.

        Args:
            observables: names (`qernel.observables.names`), or instances where options differ from the defaults.
            samples: records per chain; default from the model's ``[sample]`` section.
            walkers: independent chains; default likewise.
            seed: of the chains; default likewise.
            progress: called with the fraction of the sampling done.

        Returns:
            A data set with ``X`` and its standard error ``X_error`` for everything measured, units in ``attrs``.
        """
        from qernel.observables.measure import observe

        return observe(self, observables, samples=samples, walkers=walkers, seed=seed, progress=progress)

    def __getattr__(self, name: str) -> Any:
        from qernel.observables.registry import make, names

        if name.startswith("_") or name not in names():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def measured(
            *, samples: int | None = None, walkers: int | None = None, seed: int | None = None, **options: Any
        ) -> Any:
            return self.observe(make(name, options), samples=samples, walkers=walkers, seed=seed)

        measured.__name__ = name
        return measured

    def __dir__(self) -> list[str]:
        from qernel.observables.registry import names

        return sorted({*super().__dir__(), *names()})

    def records(
        self,
        samples: int | None,
        walkers: int | None,
        seed: int | None,
        *,
        energies: bool,
        progress: Callable[[float], None] | None,
        start: npt.ArrayLike | None = None,
    ) -> Iterator[Record]:
        """The chains record by record (see `ChainSampler.records`), with the model's settings as defaults."""
        sample = self.model.config.sample
        for name, value, least in (("samples", samples, 2), ("walkers", walkers, 2), ("seed", seed, 0)):
            if value is not None and value < least:
                raise RunError(f"{name} = {value} is too small: give at least {least}")
        return self.model.sampler(walkers or sample.walkers).records(
            jnp.asarray(self.point),
            samples=samples or sample.samples,
            moves=sample.moves,
            burn_in=sample.burn_in,
            seed=sample.seed if seed is None else seed,
            target=sample.acceptance,
            energies=energies,
            start=start,
            progress=progress,
        )


@dataclass(frozen=True)
class Model:
    """One trained wavefunction and the family it was trained on.

    Attributes:
        name: of the shipped model, or the run folder's.
        config: the configuration that made it.
        wavefunction: the ansatz with its trained parameters.
        card: what is known about it (accuracy, range, caveats); empty for a plain run.
    """

    name: str
    config: Config
    wavefunction: Any = field(repr=False)
    card: dict[str, Any] = field(default_factory=dict, repr=False)
    _samplers: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

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

    def at(self, lam: float, **others: float) -> State:
        """The state at λ and, for models conditioned on more, the other parameters.

        Args:
            lam: factor on the moiré depth.
            others: values of the other conditioning parameters; their mid-range by default.

        Raises:
            RunError: for a parameter the model does not have, or a value that is not a number.
        """
        ranges = self.ranges
        unknown = sorted(set(others) - set(ranges))
        if unknown:
            raise RunError(f"{self.name} is not conditioned on {', '.join(unknown)}, only on {', '.join(ranges)}")
        values = self.hamiltonian.middle | others | {"lam": lam}
        point = np.array([float(values[name]) for name in ranges])
        if not np.isfinite(point).all():
            raise RunError(f"{dict(zip(ranges, point.tolist(), strict=True))} must be finite numbers")
        return State(self, point)

    def sampler(self, walkers: int) -> Any:
        """The chain sampler for a number of walkers, compiled once."""
        from qernel.estimators.chains import ChainSampler

        if walkers not in self._samplers:
            train = self.config.train
            self._samplers[walkers] = ChainSampler(
                self.wavefunction, walkers, laplacian=train.laplacian, chunk=train.chunk
            )
        return self._samplers[walkers]


def shipped() -> list[str]:
    """Names of the models that come with the package."""
    root = files("qernel") / "models"
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if (entry / _MODEL_FILE).is_file())


def load(run: str | Path) -> Model:
    """Open a run folder or a shipped model.

    Args:
        run: path of a run folder, or a name from `shipped`.

    Returns:
        The model with its averaged parameters, even of a run that is still going on.

    Raises:
        RunError: if there is no such model, or its file is foreign or damaged.
    """
    from qernel.training.run import initial_wavefunction
    from qernel.training.tensors import fit, read_tensors

    folder = Path(run)
    if not (folder / _MODEL_FILE).exists():
        if str(run) not in shipped():
            known = ", ".join(shipped()) or "none"
            what = "holds no trained model yet" if folder.is_dir() else "is neither a run folder nor a shipped model"
            raise RunError(f"{run} {what}; shipped models: {known}")
        folder = Path(str(files("qernel") / "models" / str(run)))
    path = folder / _MODEL_FILE
    tensors, metadata = read_tensors(path)
    text = metadata.get("config")
    if text is None:
        raise RunError(f"{path} carries no configuration: it is not a Qernel model")
    config = load_config(_parse(text, path))
    template = initial_wavefunction(config, start=False)
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    wavefunction = eqx.combine(fit(path, tensors, arrays), static)
    card_path = folder / _CARD_FILE
    card = json.loads(card_path.read_text(encoding="utf-8")) if card_path.exists() else {}
    return Model(folder.resolve().name, config, wavefunction, card)


def _parse(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"{path} carries a damaged configuration: {error}") from error

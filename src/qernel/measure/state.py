"""The wavefunction of a model at one point of its family: what can be asked of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qernel.along import named
from qernel.errors import RunError
from qernel.measure.diagnose import diagnose
from qernel.measure.energies import Energies
from qernel.measure.project import project
from qernel.measure.summary import summary
from qernel.stopping import stoppable
from qernel.text import html_facts

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure.model import Model
    from qernel.observables import Observable


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
    def values(self) -> dict[str, float]:
        """Every parameter of the family at this point, λ first."""
        return dict(zip(self.model.ranges, self.point.tolist(), strict=True))

    def moved(self, name: str, value: float) -> State:
        """The state beside this one, at another value of one parameter.

        Raises:
            RunError: if the model does not have this parameter.
        """
        names = list(self.model.ranges)
        if name not in names:
            raise RunError(f"{self.model.name} is not conditioned on {name}, only on {', '.join(names)}")
        point = self.point.copy()
        point[names.index(name)] = value
        return State(self.model, point)

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
        return f"State(model={self.model.name!r}, {', '.join(f'{name}={x:g}' for name, x in self.values.items())})"

    def _repr_html_(self) -> str:
        where = ", ".join(named(name).at(value) for name, value in self.values.items())
        outside = "extrapolating" if self.extrapolating else "in a gap" if self.in_gap else "yes"
        asked = "state.energy(), state.observe(NAME, ...), state.sample(), state.chains(), state.log_psi(positions)"
        facts = [("at", where), ("trained here", outside), ("ask", asked)]
        return html_facts(f"State of {self.model.name}: {self.model.system}", facts)

    def log_psi(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """ψ = sign · exp(log) of configurations.

        Args:
            positions: ``[..., N, 2]`` in a_M.

        Returns:
            ``(sign, log)`` of shape ``[...]``; for complex ψ the log is complex and the sign 1.

        >>> import numpy as np
        >>> import qernel
        >>> sign, log = qernel.load("n6").at(1.0).log_psi(np.random.default_rng(1).uniform(0.0, 3.0, (5, 6, 2)))
        >>> sign.shape, bool(np.isfinite(log).all())
        ((5,), True)
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

    @stoppable
    def energy(
        self,
        samples: int | None = None,
        *,
        walkers: int | None = None,
        seed: int | None = None,
        start: npt.ArrayLike | None = None,
        keep: Callable[[State, Sequence[Record], int], None] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Energies:
        """Energy per electron and its parts, with errors that account for autocorrelation.

        Args:
            samples: records per chain; default from the model's ``[sample]`` section.
            walkers: independent chains; default likewise.
            seed: of the chains; default likewise.
            start: configurations ``[walkers, N, 2]`` in a_M before equilibration; default: see `Model.crystal_from`.
            keep: called with this state, its records and their seed.
            progress: called with the fraction done.

        >>> import qernel
        >>> round(qernel.load("n6").at(1.0).energy(4, walkers=16).energy.value)
        -18
        """
        records = list(self.records(samples, walkers, seed, energies=True, start=start, progress=progress))
        seed = self.model.config.sample.seed if seed is None else seed
        if keep is not None:
            keep(self, records, seed)
        return self.energies_of(records, seed)

    def reweighted(
        self, value: float, records: Sequence[Record], seed: int, *, along: str = "lam", **options: float
    ) -> Energies:
        """Energies beside this state from its records; see `qernel.measure.reweight.reweighted`.

        Args:
            value: wanted, of λ or of another parameter; all others stay.
            records: of this state, from `records`.
            seed: they were drawn with.
            along: the parameter.
            options: ``least``, the effective fraction below which it refuses.

        Raises:
            RunError: if too few of the records carry the weight.
        """
        from qernel.measure.reweight import reweighted

        return reweighted(self, self.moved(along, value), records, seed, along=along, **options)

    def energies_of(
        self, records: Sequence[Record], seed: int, *, log_weights: npt.ArrayLike | None = None
    ) -> Energies:
        """What records with local energies say.

        Args:
            records: of this state, from `records`.
            seed: they were drawn with.
            log_weights: log |ψ/ψ_drawn|² ``[chains, samples]`` where they were drawn from another state.
        """
        return summary(self, records, seed, log_weights)

    @stoppable
    def sample(
        self, samples: int | None = None, *, walkers: int | None = None, seed: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Configurations drawn from |ψ|².

        Returns:
            Positions ``[chains, samples, N, 2]`` in a_M, inside the supercell.

        >>> import qernel
        >>> qernel.load("n6").at(1.0).sample(4, walkers=16).shape
        (16, 4, 6, 2)
        """
        records = self.records(samples, walkers, seed, energies=False, progress=None)
        return np.stack([record.positions for record in records], axis=1)

    @stoppable
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
        every registered observable; ``energy`` has a method of its own.

        Args:
            observables: names (`qernel.observables.names`), or instances where options differ from the defaults.
            samples: records per chain; default from the model's ``[sample]`` section.
            walkers: independent chains; default likewise.
            seed: of the chains; default likewise.
            progress: called with the fraction of the sampling done.

        Returns:
            A data set with ``X`` and its standard error ``X_error`` for everything measured, units in ``attrs``.

        >>> import qernel
        >>> data = qernel.load("n6").at(1.0).observe("order_parameter", samples=4, walkers=16)
        >>> 0.0 < float(data["order_parameter"]) < 1.0
        True
        """
        from qernel.measure.observe import observe

        return observe(self, observables, samples=samples, walkers=walkers, seed=seed, progress=progress)

    diagnose = diagnose
    project = project

    def chains(
        self, samples: int | None = None, *, walkers: int | None = None, seed: int | None = None
    ) -> xarray.DataTree:
        """Energies and order parameter record by record, as ArviZ takes them; see `qernel.measure.chains_tree.tree`.

        Args:
            samples: records per chain; default from the model's ``[sample]`` section.
            walkers: independent chains; default likewise.
            seed: of the chains; default likewise.

        >>> import qernel
        >>> tree = qernel.load("n6").at(1.0).chains(4, walkers=16)
        >>> dict(tree["posterior"].sizes)
        {'chain': 16, 'draw': 4}
        """
        from qernel.measure.chains_tree import tree

        records = list(self.records(samples, walkers, seed, energies=True, progress=None))
        return tree(self, records, self.model.config.sample.seed if seed is None else seed)

    def __getattr__(self, name: str) -> Any:
        from qernel.observables.registry import names

        if name.startswith("_") or name not in names():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        from qernel.observables.methods import method

        return method(name, self.observe)

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
        sampler, options = self.model.sampling(samples, walkers, seed)

        def draw() -> Iterator[Record]:
            found: Iterator[Record] = sampler.records(
                jnp.asarray(self.point), **options, energies=energies, start=start, progress=progress
            )
            return found

        if self.model.journal is None:
            return draw()
        beginning = (
            self.model.start if start is None else hashlib.sha256(np.asarray(start, np.float64).tobytes()).hexdigest()
        )
        about = {
            **options,
            "walkers": walkers or self.model.config.sample.walkers,
            "energies": energies,
            "start": beginning,
        }
        return iter(self.model.journal.records({"point": self.point.tolist(), **about}, draw))

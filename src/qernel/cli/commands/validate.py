"""``qernel validate``: everything there is to know about a configuration before running it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qernel import runtime
from qernel.cli.shared.doubts import cutoff_doubt
from qernel.cli.shared.options import add_config
from qernel.config import Config, load_config
from qernel.config.systems import shared_walkers
from qernel.hamiltonian.terms import parameter
from qernel.text import duration, size

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel validate``."""
    parser.description = (
        "Check a configuration without running it. The output is the complete configuration, in TOML, with what "
        "follows from it in comments: units, size of the model, memory and time."
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print the resolved configuration and, as comments, what follows from it: the output is a configuration too."""
    config = load_config(options.config, options.set)
    print(config.to_toml().rstrip(), flush=True)  # the rest takes a few seconds
    runtime.configure(runtime.usable_devices(shared_walkers(config)))
    _comment("notes", filter(None, (*config.notes(), cutoff_doubt(config))))
    _comment("units", _units(config, config.hamiltonian()))
    if len(config.systems) > 1:
        _comment("systems", _systems(config))
    _comment("cost (rough)", _cost(config))
    return 0


def _comment(title: str, lines: Iterator[str]) -> None:
    print(f"\n# {title}")
    for line in lines:
        print(f"#   {line}", flush=True)


def _units(config: Config, hamiltonian: Hamiltonian) -> Iterator[str]:
    system = config.system
    unit = config.energy_unit_meV
    yield "E0 is not known in meV: V0 and U are given in reduced units" if unit is None else f"E0 = {unit:.6g} meV"
    yield from _numbers(hamiltonian)
    area = f"supercell area {hamiltonian.supercell.area:.6g} a_M²"
    material = system.material
    yield area if material is None else f"{area} = {hamiltonian.supercell.area * material.period_nm**2:.6g} nm²"
    if hamiltonian.twisted:
        (a, b), (c, d) = system.supercell
        first, second = hamiltonian.row_twist
        kx, ky = hamiltonian.twist_momentum
        yield f"twist {first:g} along {a} a1 + {b} a2, {second:g} along {c} a1 + {d} a2, k_t = ({kx:.4g}, {ky:.4g})/a_M"
    spacing = (hamiltonian.supercell.area / (system.count * 3.141592653589793)) ** 0.5
    yield f"r_s = {spacing:.4g} a_M, the radius of the disc of one electron"


def _systems(config: Config) -> Iterator[str]:
    """Every system that the weights are trained in, with what differs between them."""
    for one in config.members:
        words = f"area {one.hamiltonian().supercell.area:.6g} a_M², {'complex' if one.is_complex else 'real'} ψ"
        yield f"{one.system.label}: {one.train.groups}×{one.train.walkers} walkers, {words}"


def _numbers(hamiltonian: Hamiltonian) -> Iterator[str]:
    """What the terms read besides λ: a value, or an interval."""
    ranges = dict(zip(hamiltonian.parameters, hamiltonian.ranges, strict=True))
    for name, value in hamiltonian.described({}).items():
        about = parameter(name)
        unit = f" {about.units}" if about.units else ""
        if name in ranges:
            low, high = ranges[name]
            yield f"{name} from {low:.6g} to {high:.6g}{unit}, the {about.meaning}"
        else:
            yield f"{name} = {value:.6g}{unit}, the {about.meaning}"


def _cost(config: Config) -> Iterator[str]:
    from qernel.cli.commands.estimate import estimate
    from qernel.estimators.memory import available_memory
    from qernel.training.size import least_memory, numbers, remedy, shapes, walkers_in_words
    from qernel.wavefunction import parameter_count

    train, empty = config.train, shapes(config)
    yield f"parameters: {parameter_count(empty)}"
    least, most = least_memory(config, numbers(empty)), available_memory()
    if most is not None and least > _HOPELESS * most:  # it would take minutes to tell by how much
        yield f"memory: more than {size(least)} for {walkers_in_words(config)} walkers, of {size(most)} there is"
        yield f"that does not fit: {remedy(config, least, most)}"
        return
    need = estimate(config)
    devices = f"{need.devices} device{'s' * (need.devices != 1)}"
    if len(need.shares) > 1:
        for one in need.shares:
            time = f"{_brief(one.seconds)} an iteration without the solve"
            yield f"{one.label}: {one.rows} rows, about {size(one.working)}, {time}"
    memory = f"memory: about {size(need.memory)} for {walkers_in_words(config)} walkers"
    memory += f" and {size(need.program)} for the program" if need.program else ""
    yield memory if need.available is None else f"{memory}, of {size(need.available)} there is"
    if need.available is not None and need.memory + need.program > need.available:
        yield f"that does not fit: {remedy(config, need.memory + need.program, need.available)}"
    yield (
        f"time: about {_brief(need.iteration)} an iteration, {duration(need.total)} for "
        f"{train.burn_in} + {train.iterations} iterations, on {devices} of {need.speed / 1e9:.0f} GFLOP/s in all"
    )
    if train.time_limit_s is not None and need.total > train.time_limit_s:
        yield f"train.time_limit_s will stop the run early, after {duration(train.time_limit_s)}; --resume goes on"


_HOPELESS = 4.0
"""How often the memory of this machine is needed at least where time is not worth an estimate."""


def _brief(seconds: float) -> str:
    return f"{1e3 * seconds:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"

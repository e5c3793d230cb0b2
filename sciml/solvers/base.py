"""The protocol of a solver, and how its options are read."""

from __future__ import annotations

import functools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sciml.errors import OptionError
from sciml.problem import Problem
from sciml.solution import Solution
from sciml.solution.diagnosis import Diagnosis

__all__ = [
    "Context",
    "Progress",
    "Range",
    "Solver",
    "SolverOptions",
    "checked_device",
    "package_versions",
    "read_options",
    "refuse_unknown_options",
    "validated_options",
]

_DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Progress:
    """One report of a running solver.

    Attributes
    ----------
    phase : str
        What is being done ("Adam", "L-BFGS", "level 2 of 3").
    done, total : int
        Steps; a total of 0 is unknown.
    text : str
        What there is to say, such as the loss.
    """

    phase: str
    done: int = 0
    total: int = 0
    text: str = ""


class SolverOptions(BaseModel):
    """Options of a solver: typed, with defaults, unknown names refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, protected_namespaces=())

    cpu_seconds: float | None = Field(
        None, gt=0, description="stop an iterative solver after this much CPU time, with what it has"
    )


@dataclass
class Context:
    """What a solver is handed besides problem and options.

    Attributes
    ----------
    seed : int
    device : str
        For torch ("cpu", "cuda").
    report : callable
        Takes :class:`Progress`.
    folder : Path or None
        Where checkpoints go.
    resume : bool
        Continue from the checkpoint in `folder`.
    """

    seed: int = 0
    device: str = "cpu"
    report: Callable[[Progress], None] = lambda progress: None
    folder: Path | None = None
    resume: bool = False
    _cpu: float = field(default_factory=time.process_time)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of this process since the solver was started."""
        return time.process_time() - self._cpu

    def within(self, options: SolverOptions) -> bool:
        """Whether the option `cpu_seconds` leaves time."""
        return options.cpu_seconds is None or self.cpu_seconds < options.cpu_seconds


@dataclass(frozen=True)
class Range:
    """Values of an option that is a real number, for tuning: `low` to `high`, even in its logarithm with `log`.

    Raises
    ------
    OptionError
        The ends are not finite and ascending, or not positive with `log`.

    Examples
    --------
    >>> Range(1e-4, 1e-2, log=True)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise OptionError(f"A range was given {self.low!r} to {self.high!r}; it takes finite ends, low < high.")
        if self.log and self.low <= 0:
            raise OptionError(f"A range with log=True was given {self.low!r} as its low end; it takes one above 0.")

    def at(self, share: float) -> float:
        """The value at a share of the way from `low` (0) to `high` (1)."""
        if self.log:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share


class Solver(ABC):
    """A solver of one problem.

    Attributes
    ----------
    name : str
        As it is asked for.
    title : str
        One line on what it is.
    Options : type
        Its options.
    stochastic : bool
        Whether the seed matters. Where it does, runs are repeated with other seeds; where it does not, the same run is
        repeated for its time.
    parallel : bool
        Whether it divides its work between MPI processes.
    shared : bool
        Whether processes that ``torchrun`` has launched share its work.
    resolution : str or None
        The option by which accuracy is bought with time, such as the cells of a mesh.
    tuning_space : mapping
        Options that its users would tune, each with the values that they would try, or a :class:`Range`; empty where
        nothing but the resolution matters.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Options: ClassVar[type[SolverOptions]]
    member_defaults: ClassVar[Mapping[str, Any]] = {}
    """Defaults of options that differ where the members of a family are solved one after the other."""
    stochastic: ClassVar[bool] = True
    parallel: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    resolution: ClassVar[str | None] = None
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {}
    two_scale: ClassVar[bool] = False
    """Whether it takes laws that are those of a periodic cell; where it does not, `supports` refuses them by itself."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "supports" in cls.__dict__ and not cls.two_scale:
            cls.supports = _with_a_formula(cls.supports)  # type: ignore[method-assign]

    @abstractmethod
    def supports(self, problem: Problem) -> str | None:
        """None if the solver can do the problem, else the reason why not, as half a sentence.

        It must be cheap: nothing is solved or trained.
        """

    def check(self, problem: Problem, options: Any, device: str) -> None:  # noqa: B027
        """Refuse options that do not go together, or not with this problem or device; nothing by default.

        It must be cheap, as :meth:`supports`.

        Raises
        ------
        OptionError, DomainError, UnsupportedError
        """

    def load(self) -> None:  # noqa: B027
        """Import what solving needs, so that the first solve of a process costs no more than the second."""

    def for_members(self) -> Solver:
        """A solver that keeps what the members of a family share from one call of :meth:`solve` to the next."""
        return self

    def diagnose(self, folder: Path) -> Diagnosis | None:
        """What limits the training whose files are in a folder; None if the solver writes nothing about it.

        By default what :meth:`~sciml.solution.diagnosis.Diagnosis.write` left there.
        """
        return Diagnosis.read(folder)

    @abstractmethod
    def solve(self, problem: Problem, options: Any, context: Context) -> Solution:
        """Solve a problem that :meth:`supports` accepts."""


def read_options(solver: Solver, given: Mapping[str, Any]) -> SolverOptions:
    """Validate options, from Python or as text from a command line.

    Raises
    ------
    OptionError
        An option that the solver does not have (with the nearest name), or a value that is not allowed.
    """
    return validated_options(solver.Options, given, f"solver {solver.name!r}")


def validated_options[Options: BaseModel](model: type[Options], given: Mapping[str, Any], owner: str = "") -> Options:
    """Options of anything that has some, from Python or as text from a command line.

    Parameters
    ----------
    model : type
        Declares them, each with a description.
    given : mapping
    owner : str
        Whose they are, as a message says it: ``"solver 'fenics'"``. Without one, unknown names are the caller's to
        refuse.

    Raises
    ------
    OptionError
        As :func:`read_options`.
    """
    if owner:
        refuse_unknown_options(model.model_fields, given, owner)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        field = model.model_fields.get(name)
        description = "" if field is None else field.description
        whose = f" of {owner}" if owner else ""
        raise OptionError(f"Option {name}={first['input']!r}{whose}: {first['msg'].lower()} ({description}).") from None


def refuse_unknown_options(known: Iterable[str], given: Iterable[str], owner: str) -> None:
    """Refuse options that an owner does not have, with the nearest name.

    Raises
    ------
    OptionError
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}."
            raise OptionError(f"{owner[:1].upper()}{owner[1:]} has no option {name!r}; {advice}")


def _with_a_formula(supports: Callable[[Any, Problem], str | None]) -> Callable[[Any, Problem], str | None]:
    """`supports` that refuses first what has no law but that of a cell."""

    @functools.wraps(supports)
    def refusing(self: Any, problem: Problem) -> str | None:
        if problem.cell is not None:
            return f"its law is that of the periodic cell {problem.cell}, not a formula"
        return supports(self, problem)

    return refusing


def checked_device(device: torch.device | str) -> torch.device:
    """The device of that name.

    Raises
    ------
    OptionError
        PyTorch does not know it, or finds none here.
    """
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise OptionError(f"device = {device!r} is not one that PyTorch knows; use one of {_DEVICES}.") from error
    if device.type not in _DEVICES:
        raise OptionError(f"device = '{device}' is not possible; use one of {_DEVICES}.")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present[device.type]:
        raise OptionError(f"device = '{device}' is not possible: PyTorch finds none here; use 'cpu'.")
    return device


def package_versions(*packages: str) -> dict[str, str]:
    """Versions of installed packages, for the record."""
    known = {package: _version(package) for package in ("sciml", *packages)}
    return {package: number for package, number in known.items() if number is not None}


@functools.cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""The state of a training: named parts that are saved together and restored bit by bit."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sciml.errors import OptionError, OutputError, ScimlWarning
from sciml.files import plain
from sciml.forms.weak import weak_form
from sciml.problem import Problem
from sciml.registry import problem_key
from sciml.training.checkpoint import load_checkpoint, save_checkpoint
from sciml.training.course import Course

__all__ = ["Attributes", "Generator", "Identity", "Part", "TrainingState"]

_COURSE = "course"


class Part(Protocol):
    """Something that a training changes and that a checkpoint keeps: an optimiser, a sampler, a generator."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays of the state, by name."""
        ...

    def values(self) -> dict[str, Any]:
        """Return the rest of the state as JSON has it; numbers finite."""
        ...

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Put back what the other two returned; going on is then the same to the last bit."""
        ...


class Attributes:
    """Attributes of an object as a part: tensors, NumPy arrays, and values that JSON holds.

    Parameters
    ----------
    owner : object
        Its attributes are read when a checkpoint is written and set when one is restored. Tensors come back on the
        device of the tensor that the attribute is by then, or on the CPU.
    *names : str

    Notes
    -----
    Lists stand for tuples after restoring. Convert restored arrays with ``torch.tensor``, not ``torch.from_numpy``,
    where bits matter: sums may depend on how memory is aligned.

    Examples
    --------
    >>> TrainingState(identity, network=Attributes(run, "theta"), points=Attributes(points, "points", "born"))
    """

    def __init__(self, owner: Any, *names: str) -> None:
        self._owner, self._names = owner, names

    def tensors(self) -> dict[str, Tensor]:
        found = self._found()
        kept = {name: value.detach() for name, value in found.items() if isinstance(value, Tensor)}
        return kept | {name: torch.tensor(value) for name, value in found.items() if _numeric(value)}

    def values(self) -> dict[str, Any]:
        found = self._found()
        rest = {name: value for name, value in found.items() if not isinstance(value, Tensor) and not _numeric(value)}
        return {
            "arrays": [name for name, value in found.items() if isinstance(value, np.ndarray)],
            "values": {
                name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in rest.items()
            },
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        for name, tensor in tensors.items():
            now = getattr(self._owner, name)
            device = now.device if isinstance(now, Tensor) else tensor.device
            restored = tensor.numpy().copy() if name in values["arrays"] else tensor.to(device)
            setattr(self._owner, name, restored)
        for name, value in values["values"].items():
            setattr(self._owner, name, np.array(value) if name in values["arrays"] else value)

    def _found(self) -> dict[str, Any]:
        return {name: getattr(self._owner, name) for name in self._names}


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


class Generator:
    """The state of a random number generator as a part.

    Parameters
    ----------
    generator : torch.Generator or numpy.random.Generator
        Of NumPy any bit generator.
    """

    def __init__(self, generator: torch.Generator | np.random.Generator) -> None:
        self._generator = generator

    def tensors(self) -> dict[str, Tensor]:
        return {"state": self._generator.get_state()} if isinstance(self._generator, torch.Generator) else {}

    def values(self) -> dict[str, Any]:
        if isinstance(self._generator, torch.Generator):
            return {}
        return _lists(self._generator.bit_generator.state)

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        if isinstance(self._generator, torch.Generator):
            self._generator.set_state(tensors["state"])
        else:
            self._generator.bit_generator.state = _arrays(values)


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return {"array": value.tolist()} if isinstance(value, np.ndarray) else plain(value)


def _arrays(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"array"}:
        return np.array(value["array"], dtype=np.uint64)
    return {key: _arrays(item) for key, item in value.items()}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a training must have in common with the checkpoint that it goes on from.

    Attributes
    ----------
    problem : str
        Its name, for people.
    declaration : str
        Digest of the problem: what declares it, its values, its member, domain and time.
    solver : str
    options : dict
        All that decide the course of the training, as JSON holds them, the seed too. Limits (steps, CPU seconds) are
        left out: a training may go on with others.
    """

    problem: str
    declaration: str
    solver: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, problem: Problem, solver: str, options: Mapping[str, Any], *, seed: int, limits: Collection[str] = ()
    ) -> Identity:
        """The identity of a solver's training.

        Parameters
        ----------
        problem : Problem
        solver : str
        options : mapping
            All options of the solver, by name.
        seed : int
        limits : collection of str
            Options that may differ, besides `cpu_seconds` and `checkpoint_every`.
        """
        free = {"cpu_seconds", "checkpoint_every", *limits}
        kept = {name: value for name, value in options.items() if name not in free}
        # A problem made in memory has no text of its own; its law tells it from others.
        law = weak_form(problem).residual.signature()
        declaration = hashlib.sha256(f"{problem_key(problem)} {law}".encode()).hexdigest()[:16]
        return cls(
            problem=problem.name, declaration=declaration, solver=solver, options=_plain_options(kept) | {"seed": seed}
        )

    @property
    def digest(self) -> str:
        """16 hexadecimal digits."""
        text = json.dumps([self.declaration, self.solver, self.options], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: getattr(self, name) for name in ("problem", "declaration", "solver", "options")}

    def difference(self, stored: Mapping[str, Any]) -> str | None:
        """What differs from that of a checkpoint, as half a sentence; None if nothing does."""
        if self.solver != stored["solver"]:
            return f"it is of solver {stored['solver']!r}, and this is {self.solver!r}"
        if self.declaration != stored["declaration"]:
            if self.problem != stored["problem"]:
                return f"it is of problem {stored['problem']!r}, and this is {self.problem!r}"
            return f"problem {self.problem!r} was declared differently, or with other values"
        before = stored["options"]
        names = sorted(name for name in {*before, *self.options} if before.get(name) != self.options.get(name))
        if not names:
            return None
        return "it has " + ", ".join(f"{name}={before.get(name)!r} (now {self.options.get(name)!r})" for name in names)


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON; a network of the user's counts by its layers, since its address differs between processes."""
    described = {
        name: f"{value}" if isinstance(value, torch.nn.Module) else _data(value) for name, value in options.items()
    }
    return json.loads(json.dumps(plain(described)))


def _data(value: Any) -> Any:
    """An array by its digest, a function by its name, anything else as it is."""
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
        return f"array {value.shape} {value.dtype} {digest}"
    return f"function {getattr(value, '__qualname__', type(value).__name__)}" if callable(value) else value


class TrainingState:
    """All that a training changes, kept under names and saved together.

    A training that is restored from its checkpoint and goes on takes the same bits as one that was never stopped (on
    a CPU, with the same number of threads and version of PyTorch), provided that everything that changes is in a
    part: weights, optimiser, schedule, sampler, points, every generator.

    Parameters
    ----------
    identity : Identity
    **parts : Part
        By name. A ``torch.nn.Module`` may be given as it is, and so may generators of torch and NumPy.

    Attributes
    ----------
    course : Course
        Steps, CPU seconds and losses; it is one of the parts.

    Examples
    --------
    >>> state = TrainingState(identity, network=Attributes(run, "theta"), optimiser=optimiser, draws=generator)
    >>> state.save(folder)
    >>> state.load(folder)
    """

    def __init__(
        self, identity: Identity, **parts: Part | torch.nn.Module | torch.Generator | np.random.Generator
    ) -> None:
        if _COURSE in parts:
            raise OptionError(f"A part is named {_COURSE!r}, which is the state's own; give it another name.")
        self.identity = identity
        self.course = Course()
        self.parts: dict[str, Part] = {_COURSE: self.course} | {name: _as_part(part) for name, part in parts.items()}

    def save(self, folder: Path) -> None:
        """Write the next checkpoint; the one before it stays.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        tensors = {
            f"{name}/{key}": tensor for name, part in self.parts.items() for key, tensor in part.tensors().items()
        }
        content = {
            "identity": self.identity.as_dict(),
            "digest": self.identity.digest,
            "versions": _surroundings(),
            "parts": {name: part.values() for name, part in self.parts.items()},
        }
        save_checkpoint(folder, tensors, content)

    def load(self, folder: Path) -> None:
        """Go back to where the newest intact checkpoint was written.

        Raises
        ------
        OutputError
            No checkpoint is intact, or it has other parts.
        OptionError
            It belongs to another problem, another solver or other options; the message names what differs. Nothing is
            changed then.

        Warns
        -----
        ScimlWarning
            A newer checkpoint is broken; or the number of threads or the version of PyTorch has changed, so that the
            last bits may differ.
        """
        tensors, content = load_checkpoint(folder)
        if not {"identity", "parts"} <= content.keys():
            raise OutputError(
                f"The checkpoint in {str(folder)!r} was written by something else; start in another folder."
            )
        self._refuse_another(folder, content)
        if content["versions"] != _surroundings():
            before, now = (_described(item) for item in (content["versions"], _surroundings()))
            message = f"The training was begun with {before} and goes on with {now}; its last bits may differ."
            warnings.warn(message, ScimlWarning, stacklevel=2)
        for name, part in self.parts.items():
            own = {key.removeprefix(f"{name}/"): t for key, t in tensors.items() if key.startswith(f"{name}/")}
            part.restore(own, content["parts"][name])

    def _refuse_another(self, folder: Path, content: dict[str, Any]) -> None:
        different = self.identity.difference(content["identity"])
        if different is not None:
            raise OptionError(
                f"The checkpoint in {str(folder)!r} belongs to another training: {different}; go on with what it was "
                f"begun with, or start in another folder."
            )
        if content["parts"].keys() != self.parts.keys():
            raise OutputError(
                f"The checkpoint in {str(folder)!r} holds {', '.join(content['parts'])}, and this training has "
                f"{', '.join(self.parts)}; go on with the version that wrote it, or start in another folder."
            )


class _Module:
    """A network as a part."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def tensors(self) -> dict[str, Tensor]:
        return dict(self._module.state_dict())

    def values(self) -> dict[str, Any]:
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._module.load_state_dict(tensors)


def _as_part(given: Any) -> Part:
    if isinstance(given, torch.nn.Module):
        return _Module(given)
    return Generator(given) if isinstance(given, (torch.Generator, np.random.Generator)) else given


def _surroundings() -> dict[str, Any]:
    """What the last bits depend on besides the state."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads()}


def _described(surroundings: Mapping[str, Any]) -> str:
    return f"PyTorch {surroundings['torch']} on {surroundings['threads']} threads"

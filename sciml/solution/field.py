"""Fields: what a solver returns as the solution, whichever way it represents it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from sciml.errors import OutputError, UnsupportedError, unknown_name
from sciml.forms import Derivative, exact_jet
from sciml.problem import Problem, Slot

if TYPE_CHECKING:
    import h5py

    from sciml.problem import MeshData

__all__ = ["ExactField", "Field", "FieldPart", "NetworkField", "Rule", "refuse_mismatch"]

_CHUNK = 20_000


class Rule:
    """Quadrature points with weights, the cells they lie in if the field has cells, and normals on a boundary."""

    def __init__(
        self,
        points: np.ndarray,
        weights: np.ndarray,
        cells: np.ndarray | None = None,
        normals: np.ndarray | None = None,
    ) -> None:
        self.points, self.weights, self.cells, self.normals = points, weights, cells, normals


class Field(ABC):
    """A function on a domain with value shape `shape`.

    Attributes
    ----------
    problem : Problem
        The problem it belongs to.
    shape : tuple of int
        ``()`` or ``(k,)``.
    """

    kind: ClassVar[str]
    problem: Problem
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the unknown."""
        return self.problem.field_name

    @property
    def blocks(self) -> list[tuple[str, slice]]:
        """The fields that it consists of, by name and components."""
        return [(slot.name, slice(slot.offset, slot.offset + slot.size)) for slot in self.problem.layout]

    @property
    def parts(self) -> dict[str, Field]:
        """The fields that it consists of, each by itself."""
        layout = self.problem.layout
        return {slot.name: self if len(layout) == 1 else FieldPart(self, slot) for slot in layout}

    def part(self, name: str) -> Field:
        """One of several fields.

        Raises
        ------
        UnknownNameError
        """
        if name not in self.parts:
            raise unknown_name("field", name, self.parts)
        return self.parts[name]

    @abstractmethod
    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Values at points ``(n, dim)`` → ``(n, *shape)``; NaN where the field is not defined."""

    @abstractmethod
    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Gradients at points ``(n, dim)`` → ``(n, *shape, dim)``."""

    @property
    def mesh(self) -> MeshData | None:
        """The mesh the field lives on, if it has one."""
        return None

    def rule(self, n_target: int = 65_536) -> Rule:
        """A quadrature rule on the domain that suits the field."""
        return Rule(*self.problem.domain.quadrature(n_target))

    def at(self, rule: Rule) -> np.ndarray:
        """Values at the points of a rule."""
        return self.evaluate(rule.points)

    def gradient_at(self, rule: Rule) -> np.ndarray:
        """Gradients at the points of a rule."""
        return self.gradient(rule.points)

    def jet(self, rule: Rule, keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
        """Values and first derivatives by component, for compiled expressions."""
        if any(len(key.axes) > 1 for key in keys):
            raise UnsupportedError(f"A {self.kind} field has no second derivatives.")
        n, k = len(rule.points), int(np.prod(self.shape, dtype=int))
        need_gradient = any(key.axes for key in keys)
        values = self.at(rule).reshape(n, k)
        gradients = self.gradient_at(rule).reshape(n, k, -1) if need_gradient else None
        out = {}
        for key in keys:
            column = (
                values[:, key.component]
                if gradients is None or not key.axes
                else gradients[:, key.component, key.axes[0]]
            )
            out[key] = torch.tensor(column, dtype=torch.float64)
        return out

    @abstractmethod
    def store(self, group: h5py.Group) -> None:
        """Write what :meth:`restore` needs into an HDF5 group."""

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> Field:
        """Read a field back."""
        raise OutputError(f"Fields of kind {cls.kind!r} cannot be read back.")


class FieldPart(Field):
    """One of the fields that a problem's solution consists of.

    Parameters
    ----------
    whole : Field
    slot : Slot
        Its components.
    """

    kind = "part"

    def __init__(self, whole: Field, slot: Slot) -> None:
        self.problem, self.shape = whole.problem, slot.shape
        self.whole, self._slot = whole, slot
        self._own = slice(slot.offset, slot.offset + slot.size)

    @property
    def name(self) -> str:
        return self._slot.name

    @property
    def blocks(self) -> list[tuple[str, slice]]:
        return [(self.name, slice(0, self._slot.size))]

    @property
    def parts(self) -> dict[str, Field]:
        return {self.name: self}

    @property
    def mesh(self) -> MeshData | None:
        return self.whole.mesh

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return self._picked(self.whole.evaluate(points))

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self._picked(self.whole.gradient(points))

    def rule(self, n_target: int = 65_536) -> Rule:
        return self.whole.rule(n_target)

    def at(self, rule: Rule) -> np.ndarray:
        return self._picked(self.whole.at(rule))

    def gradient_at(self, rule: Rule) -> np.ndarray:
        return self._picked(self.whole.gradient_at(rule))

    def _picked(self, values: np.ndarray) -> np.ndarray:
        own = values[:, self._own]
        return own if self.shape else own[:, 0]

    def store(self, group: h5py.Group) -> None:
        raise OutputError(f"{self.name!r} is one of several fields; save the solution as a whole.")


def refuse_mismatch(field: Field, truth: Field) -> None:
    """Refuse to compare fields of different dimensions or shapes.

    Raises
    ------
    UnsupportedError
    """
    if (field.problem.dim, field.shape) != (truth.problem.dim, truth.shape):
        one, other = (f"a field of shape {f.shape} in {f.problem.dim} dimension(s)" for f in (field, truth))
        raise UnsupportedError(f"Only fields of the same kind can be compared; given were {one} and {other}.")


class ExactField(Field):
    """The exact solution that a problem declares."""

    kind = "exact"

    def __init__(self, problem: Problem) -> None:
        if problem.declaration.exact is None:
            raise UnsupportedError(f"{problem!r} has no exact solution; compare with the reference instead.")
        self.problem = problem
        self.shape = problem.shape

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        keys = [Derivative(c) for c in range(self.problem.n_components)]
        return self._columns(points, keys).reshape(len(points), *self.shape)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        components, dim = range(self.problem.n_components), self.problem.dim
        keys = [Derivative(c, (axis,)) for c in components for axis in range(dim)]
        return self._columns(points, keys).reshape(len(points), *self.shape, dim)

    def _columns(self, points: np.ndarray, keys: list[Derivative]) -> np.ndarray:
        points = self.problem.domain.snapped(points)
        operators = exact_jet(self.problem, keys)
        return np.stack([operators[key].at(points) for key in keys], axis=1)

    def store(self, group: h5py.Group) -> None:
        """Nothing: the declaration holds it."""

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> Field:
        return cls(problem)


class NetworkField(Field):
    """A trained network as a function of points.

    Parameters
    ----------
    problem : Problem
    module : torch.nn.Module
        Maps ``(n, dim)`` to ``(n, k)``, row by row.
    """

    kind = "network"

    def __init__(self, problem: Problem, module: torch.nn.Module) -> None:
        self.problem = problem
        self.module = module.eval()
        self.shape = problem.shape
        parameter = next(module.parameters())
        self._dtype, self._device = parameter.dtype, parameter.device

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            blocks = [self.module(x).cpu().numpy().astype(float) for x in self._batches(points)]
        return self._joined(blocks, len(points), self.shape)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        shape = (*self.shape, points.shape[1])
        return self._joined([self._gradient(x) for x in self._batches(points)], len(points), shape)

    def _batches(self, points: np.ndarray) -> list[torch.Tensor]:
        x = torch.tensor(np.asarray(points), dtype=self._dtype, device=self._device)
        return list(x.split(_CHUNK))

    @staticmethod
    def _joined(blocks: list[np.ndarray], n: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.concatenate(blocks).reshape(n, *shape) if blocks else np.zeros((0, *shape))

    def _gradient(self, x: torch.Tensor) -> np.ndarray:
        x = x.requires_grad_(True)
        y = self.module(x)
        columns = [
            torch.autograd.grad(column.sum(), x, retain_graph=True, materialize_grads=True, allow_unused=True)[0]
            for column in y.reshape(len(x), -1).unbind(dim=1)
        ]
        return torch.stack(columns, dim=1).detach().cpu().numpy().astype(float)

    def jet(self, rule: Rule, keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
        from sciml.forms import reverse_jet

        parts = [
            {key: value.detach().cpu().double() for key, value in reverse_jet(self.module, x, keys).items()}
            for x in self._batches(rule.points)
        ]
        return {key: torch.cat([part[key] for part in parts]) for key in keys}

    def store(self, group: h5py.Group) -> None:
        import json

        manifest = self.module.manifest() if hasattr(self.module, "manifest") else None  # type: ignore[operator]
        group.attrs["manifest"] = json.dumps(manifest)
        for name, tensor in self.module.state_dict().items():
            group.create_dataset(name, data=tensor.cpu().numpy())

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem, module: torch.nn.Module | None = None) -> NetworkField:
        import json

        from sciml.nn import PhysicalNetwork

        manifest = json.loads(group.attrs["manifest"])
        if module is None and (manifest is None or manifest["network"] is None):
            raise OutputError("This solution is a network of the user's own; pass it as `module=` to read it back.")
        if manifest is not None and not isinstance(module, PhysicalNetwork):
            module = PhysicalNetwork.from_manifest(problem, manifest, module)
        assert module is not None
        weights = {name: torch.as_tensor(group[name][()]) for name in module.state_dict()}
        module.to(next(iter(weights.values())).dtype).load_state_dict(weights)
        return cls(problem, module)

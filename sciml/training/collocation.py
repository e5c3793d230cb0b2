"""A declared problem and a network as a nonlinear least-squares problem in the network's weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sciml.errors import OptionError
from sciml.forms.jets import AffineRecord
from sciml.nn import PhysicalNetwork, Scales
from sciml.nn.row_derivatives import RowDerivatives, notes_all_layers, row_derivatives
from sciml.problem import Problem
from sciml.training.blocks import Block, blocks_of
from sciml.training.terms import Term, condition_terms, equation_terms

__all__ = ["Collocation", "LinearisedResidual"]

_GENERAL_ROWS = 32
"""Points at a time where each row has a reverse pass of its own: the work grows with its square."""


@dataclass(frozen=True)
class LinearisedResidual:
    """r(θ + δ) ≈ r + J δ without the matrix J.

    Attributes
    ----------
    residual : (N,) tensor
    product : callable
        J v, ``(P,)`` or ``(P, m)`` to ``(N,)`` or ``(N, m)``.
    transposed : callable
        Jᵀ w, the other way round.
    """

    residual: Tensor
    product: Callable[[Tensor], Tensor]
    transposed: Callable[[Tensor], Tensor]


class _Weights:
    """The trained weights of a network as one flat vector.

    ``torch.func.functional_call`` leaves another tensor behind where one module stands in two places, so weights are
    exchanged here.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.originals = [p for p in network.parameters() if p.requires_grad]
        ends = np.cumsum([0, *(p.numel() for p in self.originals)]).tolist()
        self.places = [slice(a, b) for a, b in pairwise(ends)]
        self.number: int = ends[-1]
        position = {id(p): k for k, p in enumerate(self.originals)}
        self._stands = [
            (module, name, position[id(p)])
            for module in network.modules()
            for name, p in module._parameters.items()
            if id(p) in position
        ]

    def split(self, theta: Tensor) -> list[Tensor]:
        """Views of a flat vector with the weights' shapes."""
        if theta.shape != (self.number,):
            raise OptionError(f"theta has the shape {tuple(theta.shape)}; {(self.number,)} is needed.")
        return [theta[place].view(p.shape) for place, p in zip(self.places, self.originals, strict=True)]

    @contextmanager
    def exchanged(self, parts: Sequence[Tensor]) -> Iterator[None]:
        """The network with other weights, for a while."""
        try:
            for module, name, k in self._stands:
                module._parameters[name] = parts[k]  # type: ignore[assignment]
            yield
        finally:
            for module, name, k in self._stands:
                module._parameters[name] = self.originals[k]  # type: ignore[assignment]


class Collocation:
    """E(θ) = ½ |r(θ)|² = ½ Σ_t weight_t mean_i w_i (r_ti/size_t)² over the terms t and their points i.

    The terms are the strong residual at points of the domain, and what boundary, start and mean values ask, unless it
    is built into the network. Rows of the residual stand term by term, the equations first.

    Parameters
    ----------
    problem : Problem
        With a strong form; one that runs in time is collocated in space and time.
    model : PhysicalNetwork
        Whose weights that require grad are θ, flat, in the order of ``model.parameters()``.
    scales : Scales
        Of the problem.
    boundary_points : int
        On the whole boundary (at least 16 a part), and at the start.
    boundary_weight, flux_weight : float
        Of each Dirichlet, initial and mean value term, and of each term in the flux; an equation has weight 1. Good
        values: 100 and 10.
    generator : numpy Generator
        For the points of the conditions. Those of the equation come by :meth:`set_points`.
    chunk : int, optional
        Points that go through the network at a time; small enough for the processor's cache by default. It changes
        results by rounding only.

    Raises
    ------
    OptionError
        A network without weights to train or of another shape; a number that is not possible.
    UnsupportedError
        A problem without a strong form.

    Notes
    -----
    Loads, coefficients, boundary data, and lift and distance of built-in conditions are computed once for each set of
    points. Networks of affine layers and activations with Taylor rules, as :class:`~sciml.nn.MLP`, have exact
    Jacobians from one reverse pass for each equation; other modules, and derivatives of the unknown above the second,
    take one reverse pass for each row.
    """

    def __init__(
        self,
        problem: Problem,
        model: PhysicalNetwork,
        scales: Scales,
        *,
        boundary_points: int,
        boundary_weight: float,
        flux_weight: float,
        generator: np.random.Generator,
        chunk: int | None = None,
    ) -> None:
        _check_numbers(boundary_points, boundary_weight, flux_weight, chunk)
        self.problem, self.model, self.scales, self.chunk = problem, model, scales, chunk
        self._all = _Weights(model)
        if not self._all.originals:
            raise OptionError("The given network has no trainable weight; give a module with at least one.")
        self.n_parameters = self._all.number
        self._like = self._all.originals[0].detach()
        self._check_network()
        self._conditions = condition_terms(
            problem,
            scales,
            hard=model.conditions is not None,
            boundary_points=boundary_points,
            boundary_weight=boundary_weight,
            flux_weight=flux_weight,
            generator=generator,
        )
        self.terms: tuple[Term, ...] = ()
        self._weights: np.ndarray | None = None
        self._blocks: dict[int | None, list[Block]] = {}

    # -- points and weights ------------------------------------------------------------------------------

    def set_points(self, points: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Choose the points of the equation.

        Parameters
        ----------
        points : (n, dim) array
            With the time last, of a problem that runs in time.
        weights : (n,) array, optional
            Importance of each point in the mean; not negative, 1 by default.
        """
        points = self._checked_points(points)
        if weights is not None:
            weights = np.asarray(weights, dtype=float)
            if weights.shape != (len(points),) or not (np.isfinite(weights).all() and (weights >= 0).all()):
                raise OptionError(
                    f"weights has the shape {weights.shape}; {len(points)} finite weights of at least 0 are needed."
                )
        terms = [*equation_terms(self.problem, self.scales, points), *self._conditions]
        ends = np.cumsum([0, *(term.n_rows for term in terms)]).tolist()
        names = _unique([term.name for term in terms])
        self.terms = tuple(
            replace(term, name=name, rows=slice(a, b))
            for term, name, (a, b) in zip(terms, names, pairwise(ends), strict=True)
        )
        self._weights, self._blocks = weights, {}

    @property
    def n_residuals(self) -> int:
        """N, the rows of all terms."""
        return self._laid_out[-1].rows.stop

    @property
    def points(self) -> np.ndarray:
        """Those of the equation, ``(n, dim)``."""
        return self._laid_out[0].points

    def theta(self) -> Tensor:
        """The present weights, ``(P,)``; a copy."""
        return torch.cat([p.detach().reshape(-1) for p in self._all.originals])

    def load(self, theta: Tensor) -> None:
        """Write weights into the network."""
        with torch.no_grad():
            for weight, values in zip(self._all.originals, self._all.split(theta), strict=True):
                weight.copy_(values)

    # -- the least-squares problem -----------------------------------------------------------------------

    def residual(self, theta: Tensor) -> Tensor:
        """r, ``(N,)``, without a graph."""
        out = self._empty(self.n_residuals)
        with torch.no_grad():
            parts = self._all.split(theta)
            for block in self._in_blocks():
                self._place(out, block, self._values(block, parts))
        return out

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The residual ``(N,)`` and J ``(N, P)``, without a graph."""
        residual, matrix = self._empty(self.n_residuals), self._empty(self.n_residuals, self.n_parameters)
        if not self._is_noted:
            self._general_jacobian(theta, residual, matrix)
            return residual, matrix
        for block, values, derivatives in self._derivatives(theta):
            self._place(residual, block, values)
            for rows, rowwise, value in zip(block.rows, derivatives, values, strict=True):
                if block.summed:
                    matrix[rows.rows] = rowwise.transposed(torch.ones_like(value))
                else:
                    rowwise.write(matrix[rows.rows])
        return residual, matrix

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """E, a 0-d tensor, and its gradient ``(P,)``."""
        theta = theta.detach().requires_grad_(True)
        value, gradient = self._like.new_zeros(()), torch.zeros_like(theta)
        for block in self._in_blocks():
            half = sum(_half_square(block, v) for v in self._values_with_graph(block, theta))
            assert isinstance(half, Tensor)
            value += half.detach()
            gradient += _gradient(half, theta)
        return value, gradient

    def linear_operator(self, theta: Tensor) -> LinearisedResidual:
        """The linearisation at θ without the matrix.

        It keeps what goes into the layers and the adjoints of what comes out: (slots × widths) numbers a row in place
        of P. Networks with a reverse pass for each row keep the graph.
        """
        residual = self._empty(self.n_residuals)
        kept = list(self._derivatives(theta) if self._is_noted else self._graphs(theta))
        for block, values, _ in kept:
            self._place(residual, block, values)

        def product(direction: Tensor) -> Tensor:
            out = self._empty(self.n_residuals, *direction.shape[1:])
            for block, _, derivatives in kept:
                for rows, rowwise in zip(block.rows, derivatives, strict=True):
                    part = rowwise.product(direction)
                    out[rows.rows] = part.sum(dim=0, keepdim=True) if block.summed else part
            return out

        def transposed(vector: Tensor) -> Tensor:
            out = self._like.new_zeros(self.n_parameters, *vector.shape[1:])
            for block, values, derivatives in kept:
                for rows, rowwise, value in zip(block.rows, derivatives, values, strict=True):
                    part = vector[rows.rows]
                    out += rowwise.transposed(part.expand(len(value), *part.shape[1:]))
            return out

        return LinearisedResidual(residual, product, transposed)

    # -- what samplers and the diagnosis ask -------------------------------------------------------------

    def squared(self, theta: Tensor, points: np.ndarray) -> np.ndarray:
        """Σ over the equations of (residual/size)² at any points of the domain, ``(n,)``; nothing is kept."""
        points = self._checked_points(points)
        n = len(points)
        terms = equation_terms(self.problem, self.scales, points)
        terms = [replace(term, rows=slice(k * n, (k + 1) * n)) for k, term in enumerate(terms)]
        out = self._empty(len(terms) * n)
        parts = self._all.split(theta)
        # Weights of n undo the mean over the points.
        blocks = blocks_of(terms, self.model, self._like, weights=np.full(n, float(n)), chunk=self.chunk)
        with torch.no_grad():
            for block in blocks:
                self._place(out, block, self._values(block, parts))
        return out.reshape(len(terms), n).square().sum(dim=0).cpu().numpy().astype(float)

    def term_values(self, theta: Tensor) -> dict[str, float]:
        """What each term adds to E."""
        residual = self.residual(theta)
        return {term.name: 0.5 * float(residual[term.rows].square().sum()) for term in self._laid_out}

    def term_gradients(self, theta: Tensor) -> dict[str, Tensor]:
        """The gradient of each of :meth:`term_values`, ``(P,)``."""
        theta = theta.detach().requires_grad_(True)
        out = {term.name: torch.zeros_like(theta, requires_grad=False) for term in self._laid_out}
        for block in self._in_blocks():
            values = self._values_with_graph(block, theta)
            for k, (rows, value) in enumerate(zip(block.rows, values, strict=True)):
                half = _half_square(block, value)
                out[rows.term.name] += _gradient(half, theta, again=k + 1 < len(values))
        return out

    # -- evaluation --------------------------------------------------------------------------------------

    @property
    def _laid_out(self) -> tuple[Term, ...]:
        if not self.terms:
            raise OptionError("There are no collocation points yet; give them by set_points first.")
        return self.terms

    @property
    def _is_noted(self) -> bool:
        """Whether one reverse pass gives the derivatives of all rows."""
        return notes_all_layers(self.model.network) and all(b.points.series is not None for b in self._in_blocks())

    def _in_blocks(self, chunk: int | None = None) -> list[Block]:
        """All terms, made once for each set of points and size of the blocks."""
        chunk = chunk or self.chunk
        if chunk not in self._blocks:
            self._blocks[chunk] = [
                block
                for terms in _together(self._laid_out)
                for block in blocks_of(
                    terms,
                    self.model,
                    self._like,
                    weights=self._weights if terms[0].kind == "equation" else None,
                    chunk=chunk,
                )
            ]
        return self._blocks[chunk]

    def _values(self, block: Block, parts: list[Tensor], tape: list[AffineRecord] | None = None) -> list[Tensor]:
        with self._all.exchanged(parts):
            return block.values(self.model.jet_at(block.points, tape))

    def _values_with_graph(self, block: Block, theta: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            return self._values(block, self._all.split(theta))

    def _derivatives(self, theta: Tensor) -> Iterator[tuple[Block, list[Tensor], list[RowDerivatives]]]:
        """Values and derivatives of each block, by one reverse pass for each kind of row."""
        parts = self._all.split(theta.detach())
        places = {id(part): place for part, place in zip(parts, self._all.places, strict=True)}
        for block in self._in_blocks():
            tape: list[AffineRecord] = []
            with torch.enable_grad():
                values = self._values(block, parts, tape)
            last = len(values) - 1
            derivatives = [
                row_derivatives(value, tape, places, self.n_parameters, again=k < last)
                for k, value in enumerate(values)
            ]
            yield block, [value.detach() for value in values], derivatives

    def _general_jacobian(self, theta: Tensor, residual: Tensor, matrix: Tensor) -> None:
        """One reverse pass for each row, those of a block as a batch."""
        theta = theta.detach().requires_grad_(True)
        for block in self._in_blocks(min(self.chunk or _GENERAL_ROWS, _GENERAL_ROWS)):
            values = self._values_with_graph(block, theta)
            self._place(residual, block, [value.detach() for value in values])
            for k, (rows, value) in enumerate(zip(block.rows, values, strict=True)):
                own = value.sum()[None] if block.summed else value
                matrix[rows.rows] = _batched_rows(own, theta, again=k + 1 < len(values))

    def _graphs(self, theta: Tensor) -> Iterator[tuple[Block, list[Tensor], list[_GraphDerivatives]]]:
        theta = theta.detach().requires_grad_(True)
        for block in self._in_blocks():
            values = self._values_with_graph(block, theta)
            yield block, [value.detach() for value in values], [_GraphDerivatives(value, theta) for value in values]

    @staticmethod
    def _place(out: Tensor, block: Block, values: list[Tensor]) -> None:
        for rows, value in zip(block.rows, values, strict=True):
            out[rows.rows] = value.sum() if block.summed else value

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self._like.dtype, device=self._like.device)

    # -- checks ------------------------------------------------------------------------------------------

    def _checked_points(self, points: np.ndarray) -> np.ndarray:
        points, dim = np.asarray(points, dtype=float), self.problem.dim + self.problem.evolves
        if points.ndim != 2 or points.shape[1] != dim or len(points) == 0 or not np.isfinite(points).all():
            raise OptionError(f"points has the shape {points.shape}; finite points of the shape (n, {dim}) are needed.")
        return points

    def _check_network(self) -> None:
        points = self.problem.domain.sample(2, np.random.default_rng(0))
        if self.problem.evolves:
            points = np.column_stack([points, [self.problem.time.start] * 2])
        x = torch.tensor(points, dtype=self._like.dtype, device=self._like.device)
        with torch.no_grad():
            shape, wanted = tuple(self.model(x).shape), (2, self.problem.n_components)
        if shape != wanted:
            raise OptionError(f"The network maps {tuple(x.shape)} to {shape}; this problem needs {wanted}.")


class _GraphDerivatives:
    """The Jacobian of values by the weights, by reverse passes through a kept graph."""

    def __init__(self, values: Tensor, theta: Tensor) -> None:
        self._values, self._theta = values, theta
        self._ones = torch.ones_like(values, requires_grad=True)
        with torch.enable_grad():
            # Jᵀ w is linear in w, so its own reverse pass is a product with J.
            self._pulled = _gradient(values, theta, self._ones, again=True, graph=True)

    def product(self, direction: Tensor) -> Tensor:
        """J v."""
        columns = direction.reshape(len(self._theta), -1).unbind(dim=1)
        out = [_gradient(self._pulled, self._ones, column, again=True) for column in columns]
        return torch.stack(out, dim=1).reshape(len(self._values), *direction.shape[1:])

    def transposed(self, rows: Tensor) -> Tensor:
        """Jᵀ w."""
        columns = rows.reshape(len(self._values), -1).unbind(dim=1)
        out = [_gradient(self._values, self._theta, column, again=True) for column in columns]
        return torch.stack(out, dim=1).reshape(len(self._theta), *rows.shape[1:])


def _gradient(
    values: Tensor, by: Tensor, adjoint: Tensor | None = None, *, again: bool = False, graph: bool = False
) -> Tensor:
    """A reverse pass; zero where nothing depends."""
    if not values.requires_grad:
        return torch.zeros_like(by)
    (out,) = torch.autograd.grad(
        values, by, adjoint, retain_graph=again or graph, create_graph=graph, allow_unused=True, materialize_grads=True
    )
    return out


def _batched_rows(values: Tensor, theta: Tensor, *, again: bool) -> Tensor:
    if not values.requires_grad:
        return values.new_zeros(len(values), len(theta))
    unit = torch.eye(len(values), dtype=values.dtype, device=values.device)
    (rows,) = torch.autograd.grad(
        values, theta, unit, retain_graph=again, is_grads_batched=True, allow_unused=True, materialize_grads=True
    )
    return rows


def _half_square(block: Block, value: Tensor) -> Tensor:
    return 0.5 * (value.sum() if block.summed else value).square().sum()


def _together(terms: tuple[Term, ...]) -> list[list[Term]]:
    """Terms that share their points; they stand next to each other."""
    out: list[list[Term]] = []
    for term in terms:
        if out and out[-1][0].points is term.points:
            out[-1].append(term)
        else:
            out.append([term])
    return out


def _unique(names: list[str]) -> list[str]:
    """A condition that the boundary cuts into several parts is numbered."""
    return [name if names.count(name) == 1 else f"{name} ({names[:k].count(name) + 1})" for k, name in enumerate(names)]


def _check_numbers(points: int, boundary_weight: float, flux_weight: float, chunk: int | None) -> None:
    if points < 1:
        raise OptionError(f"boundary_points={points!r}; at least 1 is needed.")
    if chunk is not None and chunk < 1:
        raise OptionError(f"chunk={chunk!r}; at least 1 is needed, or none.")
    for name, weight in (("boundary_weight", boundary_weight), ("flux_weight", flux_weight)):
        if not (np.isfinite(weight) and weight >= 0):
            raise OptionError(f"{name}={weight!r}; a finite number of at least 0 is needed.")

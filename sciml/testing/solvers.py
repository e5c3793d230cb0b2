"""What every solver must do (needs pytest)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import meshio
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from ufl import Identity, as_vector, cos, div, exp, grad, inner, pi, sin, sqrt, sym, tr

from sciml.errors import OptionError, UnsupportedError
from sciml.problem import Box, Dirichlet, Neumann, Periodic, Problem, Robin, ds, dx, scalar, vector
from sciml.registry import load_solver
from sciml.solution import Solution, load_solution
from sciml.solvers.base import Range, read_options
from sciml.solvers.run import solve

__all__ = ["CASES", "SolverConformance"]


def _elastic_stress(u: Any) -> Any:
    """Hooke's law with both Lamé constants 1."""
    strain = sym(grad(u))
    return 2 * strain + tr(strain) * Identity(2)


def _area(u: Any) -> Any:
    """Of the graph of a function."""
    slope: Any = inner(grad(u), grad(u))
    return sqrt(1 + slope)


def _whirl(x: Any) -> Any:
    """A field without divergence: the curl of sin(x₀ + ½) exp x₁."""
    stream: Any = sin(x[0] + 0.5) * exp(x[1])
    return as_vector([stream.dx(1), -stream.dx(0)])


CASES: dict[str, Callable[[], Problem]] = {
    "poisson_1d": lambda: Problem(
        domain=Box(0, 1),
        flux=lambda u: grad(u),
        exact=lambda x: sin(pi * x[0]) + x[0],
        conditions=[Dirichlet(on="left"), Neumann(on="right")],
        quantities=lambda u: {"integral": u * dx},
    ),
    "poisson_2d": lambda: Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: grad(u),
        exact=lambda x: sin(pi * x[0]) * exp(x[1]),
        conditions=[Dirichlet(on="boundary")],
        quantities=lambda u, x, n: {"outflow": inner(grad(u), n) * ds("right")},
    ),
    "robin_2d": lambda: Problem(
        domain=Box((0, 0), (2, 1)),
        flux=lambda u, x: (x[0] + 1) * grad(u),
        reaction=lambda u: u,
        exact=lambda x: exp(-x[0]) * (x[1] * x[1] + 1),
        conditions=[Dirichlet(on="left"), Robin(alpha=2.0, on=["right", "top"]), Neumann(on="bottom")],
    ),
    "nonlinear_2d": lambda: Problem(
        domain=Box((0, 0), (1, 1)),
        energy=_area,
        exact=lambda x: 0.5 * sin(2 * x[0]) * exp(x[1]),
        conditions=[Dirichlet(on="boundary")],
    ),
    "elastic_2d": lambda: Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"displacement": vector},
        flux=_elastic_stress,
        exact=lambda x: as_vector([sin(x[0]) * x[1], x[0] ** 2 + 2 * x[1]]),
        conditions=[Dirichlet(on=["left", "bottom"]), Neumann(on=["right", "top"])],
    ),
    "heat_1d": lambda: Problem(
        domain=Box(0, 1),
        time=1.0,
        damping=2.0,
        flux=lambda u: grad(u),
        exact=lambda x, t: cos(2 * t) * sin(pi * x[0]) + x[0],
        conditions=[Dirichlet(on="left"), Robin(alpha=1.0, on="right")],
        quantities=lambda u: {"heat": u * dx},
    ),
    "wave_1d": lambda: Problem(
        domain=Box(0, 1),
        time=(1.0, 2.0),
        mass=1.0,
        flux=lambda u: grad(u),
        exact=lambda x, t: cos(2 * t) * (1 + x[0] ** 2),
        conditions=[Dirichlet(on="left"), Neumann(on="right")],
    ),
    "circle_1d": lambda: Problem(
        domain=Box(0, 1),
        flux=lambda u: grad(u) - as_vector([2.0]) * u,
        reaction=lambda u: 3 * u,
        exact=lambda x: exp(sin(2 * pi * x[0])),
        conditions=[Periodic("boundary")],
        quantities=lambda u: {"integral": u * dx},
    ),
    "stokes_2d": lambda: Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"velocity": vector, "pressure": scalar.element(lower=1)},
        flux=lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
        reaction=lambda velocity: {"pressure": div(velocity)},
        exact=lambda x: {"velocity": _whirl(x), "pressure": cos(2 * x[0]) * x[1]},
        conditions=[
            Dirichlet(on=["left", "bottom", "top"], field="velocity"),
            Neumann(on="right", field="velocity"),
        ],
        quantities=lambda velocity, pressure, n: {
            "outflow": inner(velocity, n) * ds("right"),
            "pressure": pressure * dx,
        },
    ),
    "mixed_2d": lambda: Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)},
        flux=lambda potential: {"flow": potential * Identity(2)},
        reaction=lambda flow: {"flow": flow, "potential": -div(flow)},
        exact=lambda x: {"flow": grad(sin(pi * x[0]) * exp(x[1])), "potential": sin(pi * x[0]) * exp(x[1])},
        conditions=[Neumann(on="boundary", field="flow")],
        quantities=lambda potential: {"potential": potential * dx},
    ),
    "torus_2d": lambda: Problem(
        domain=Box((0, 0), (1, 2)),
        time=0.5,
        damping=2.0,
        flux=lambda u: 0.1 * grad(u) - as_vector([1.0, 0.5]) * u,
        reaction=lambda u: u,
        exact=lambda x, t: exp(-t) * sin(2 * pi * x[0]) + cos(2 * pi * x[0] - pi * x[1] + 2 * t),
        conditions=[Periodic("boundary")],
        quantities=lambda u: {"energy": u**2 * dx},
    ),
}
"""Small smooth problems with known solutions, one for each kind of unknown, law and condition."""


_KEPT: dict[tuple[type, str], Solution] = {}


class SolverConformance:
    """Tests of one solver.

    Attributes
    ----------
    solver : str
        Its name.
    options : dict
        Options that make it quick.
    tolerances : dict
        Case → relative L2 error allowed with these options; a case that is not named is left out.
    """

    solver: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    tolerances: ClassVar[dict[str, float]] = {}

    def solved(self, case: str, **changes: Any) -> Solution:
        """One of the cases, solved."""
        return solve(CASES[case](), self.solver, **(self.options | changes))

    def kept(self, case: str) -> Solution:
        """One of the cases, solved once for all tests that only look at it."""
        key = type(self), case
        if key not in _KEPT:
            _KEPT[key] = self.solved(case)
        return _KEPT[key]

    @property
    def first(self) -> str:
        """The case used where any will do."""
        return next(iter(self.tolerances))

    def test_options_are_described(self) -> None:
        """Every option has a description, and all defaults are legal."""
        solver = load_solver(self.solver)
        assert solver.name == self.solver
        assert solver.title
        read_options(solver, {})
        assert all(field.description for field in solver.Options.model_fields.values())

    def test_unknown_option(self) -> None:
        """An unknown option is refused before any work."""
        with pytest.raises(OptionError, match="no_such_option"):
            self.solved(self.first, no_such_option=1)

    def test_accuracy(self) -> None:
        """Each case within its tolerance, with values and gradients of the right shapes and a full record."""
        for case, tolerance in self.tolerances.items():
            solution = self.kept(case)
            assert load_solver(self.solver).supports(solution.problem) is None
            error = solution.error()
            assert error.relative_l2 <= tolerance, f"{case}: {error.relative_l2:.2e} > {tolerance:.0e}"
            _check_record(solution)
            _check_evaluation(solution)

    @pytest.mark.parametrize("case", ["poisson_1d", "stokes_2d", "mixed_2d"])
    def test_fields_by_name(self, case: str, tmp_path: Path) -> None:
        """Each field by itself, in memory, in files for ParaView, in pictures and read back."""
        if case not in self.tolerances:
            pytest.skip(f"the solver does not run {case}")
        solution = self.kept(case)
        problem, points = solution.problem, CASES[case]().domain.sample(50, np.random.default_rng(0))
        _check_parts(solution.field, solution.evaluate(points), solution.gradient(points), points)
        loaded = load_solution(solution.save(tmp_path / "solution.h5"), problem)
        assert np.allclose(loaded.evaluate(points), solution.evaluate(points), rtol=0, atol=1e-13)
        _check_parts(loaded.field, loaded.evaluate(points), loaded.gradient(points), points)
        arrays = meshio.read(solution.write_vtu(tmp_path / "solution.vtu")).point_data
        assert set(arrays) == {f"{name}{end}" for name in problem.fields for end in ("", "_exact", "_error")}
        solution.plot(tmp_path / "solution.png")
        assert imread(tmp_path / "solution.png")[..., :3].std() > 0.02

    def test_unsupported(self) -> None:
        """What `supports` refuses, `solve` refuses with the same reason."""
        weak = Problem(
            domain=Box((0,) * 5, (1,) * 5),
            weak=lambda u, v: inner(grad(u), grad(v)) * dx,
            load=1.0,
            conditions=[Dirichlet(0.0, on="boundary")],
        )
        reason = load_solver(self.solver).supports(weak)
        if reason is None:
            return
        with pytest.raises(UnsupportedError, match=re.escape(reason)):
            solve(weak, self.solver, **self.options)

    def test_what_is_tuned_exists(self) -> None:
        """Tuning chooses among at least two legal values of each option, and leaves the resolution alone."""
        solver = load_solver(self.solver)
        for name, values in solver.tuning_space.items():
            several = [values.at(share) for share in (0, 0.5, 1)] if isinstance(values, Range) else list(values)
            assert len(several) > 1
            for value in several:
                assert getattr(read_options(solver, {name: value}), name) == value
        assert solver.resolution not in solver.tuning_space
        assert solver.resolution is None or solver.resolution in solver.Options.model_fields

    def test_same_seed_same_bits(self) -> None:
        """The same seed gives the same solution to the last bit; another one too where the solver says so."""
        points = CASES[self.first]().domain.sample(50, np.random.default_rng(0))
        first, second, other = (self.solved(self.first, seed=seed).evaluate(points) for seed in (3, 3, 4))
        assert np.array_equal(first, second)
        assert np.array_equal(first, other) is not load_solver(self.solver).stochastic

    def test_leaves_no_trace(self) -> None:
        """Defaults of torch and all global generators are as they were."""
        before = _global_state()
        self.solved(self.first)
        assert _global_state() == before

    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        """A solution read back from its file is the same function with the same record."""
        solution = self.kept(self.first)
        loaded = load_solution(solution.save(tmp_path / "solution.h5"), solution.problem)
        points = solution.problem.domain.sample(50, np.random.default_rng(0))
        assert np.allclose(loaded.evaluate(points), solution.evaluate(points), rtol=0, atol=1e-13)
        assert loaded.record() == json.loads(json.dumps(solution.record()))


def _check_parts(field: Any, values: np.ndarray, gradients: np.ndarray, points: np.ndarray) -> None:
    """The fields are the unknown's components one after the other."""
    n, dim = points.shape
    slots = {slot.name: slot for slot in field.problem.layout}
    assert list(field.parts) == list(slots)
    for name, part in field.parts.items():
        slot = slots[name]
        own = slice(slot.offset, slot.offset + slot.size)
        assert part.evaluate(points).shape == (n, *slot.shape)
        assert part.gradient(points).shape == (n, *slot.shape, dim)
        assert np.array_equal(part.evaluate(points).reshape(n, -1), values.reshape(n, -1)[:, own])
        assert np.array_equal(part.gradient(points).reshape(n, -1, dim), gradients.reshape(n, -1, dim)[:, own])


def _check_record(solution: Solution) -> None:
    record = json.loads(json.dumps(solution.record(), allow_nan=False))
    assert record["status"] in ("converged", "budget_reached", "stagnated")
    assert record["message"]
    assert record["cpu_seconds"] > 0
    assert sum(record["seconds"].values()) > 0
    assert solution.quantities().keys() == solution.problem.declaration.quantities.keys()


def _check_evaluation(solution: Solution) -> None:
    problem = solution.problem
    middle = (problem.domain.lower + problem.domain.upper) / 2
    points = middle + 0.99 * (problem.domain.sample(20, np.random.default_rng(1)) - middle)
    when = {"t": problem.time.start + 0.4 * problem.time.duration} if problem.evolves else {}
    values, gradients = solution.evaluate(points, **when), solution.gradient(points, **when)
    assert values.shape == (20, *problem.shape)
    assert gradients.shape == (20, *problem.shape, problem.dim)
    step = 1e-6
    for axis in range(problem.dim):
        shift = step * np.eye(problem.dim)[axis]
        ahead, behind = (solution.evaluate(points + sign * shift, **when) for sign in (1, -1))
        slope = (ahead - behind) / (2 * step)
        # A finite element gradient jumps between cells, which a difference may straddle.
        assert np.median(np.abs(slope - gradients[..., axis])) <= 1e-5 * (1 + np.abs(gradients).max())


def _global_state() -> tuple[Any, ...]:
    numpy_state = np.random.get_state()
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.random.get_rng_state().numpy().tobytes(),
        random.getstate(),
        numpy_state[1].tobytes(),  # type: ignore[union-attr]
        torch.get_num_threads(),
    )

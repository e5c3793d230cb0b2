"""Compiled forms are shared between parameter values, and killed compiles leave no trace."""

import time

import numpy as np
import pytest
from ufl import exp, grad, inner, sin

from sciml import Dirichlet, Neumann, Problem, Robin, parameter, solve
from sciml.errors import OptionError
from sciml.fem import compiling
from sciml.fem.discretisation import Discretisation


class Plate(Problem):
    """Parameters in flux, load, boundary data and the exact solution."""

    stiffness = parameter(2.0, above=0)
    centre = parameter((0.5, 0.25))
    exchange = parameter(3.0, above=0)

    def flux(self, u):
        return (self.stiffness + u**2) * grad(u)

    def exact(self, x):
        return exp(-inner(x - self.centre, x - self.centre))

    def conditions(self):
        return [Dirichlet(on="left"), Neumann(on="right"), Robin(alpha=self.exchange, on=["top", "bottom"])]


@pytest.fixture
def plate(poisson):
    def build(**values):
        return Plate(domain=poisson().domain, **values)

    return build


def solved(problem):
    """Relative error, and seconds of compilation that the solve took."""
    solution = solve(problem, cells=8, measure_error=False)
    return solution.error().relative_l2, solution.details["compile_seconds"]


NEW = {"stiffness": 5.0, "centre": (0.1, 0.7), "exchange": 0.5}


def test_new_values_compile_nothing(plate):
    first = plate()
    assert solved(first)[0] < 1e-3
    for problem in (first.with_parameters(**NEW), plate(**NEW)):
        error, seconds = solved(problem)
        assert seconds < 0.01
        assert error < 1e-3


def test_a_new_load_step_or_mesh_compiles_nothing(plate):
    problem = plate()
    solve(problem, cells=4, measure_error=False)
    later = solve(problem, cells=6, load_steps=2, measure_error=False)
    assert later.details["compile_seconds"] < 0.01


def test_values_of_copies_do_not_mix(plate):
    """Two discretisations that share compiled forms keep their own constants."""
    one = plate()
    other = one.with_parameters(stiffness=50.0)
    first, second = (Discretisation(p, p.domain.mesh(2), 1) for p in (one, other))
    from dolfinx import fem

    for discretisation in (first, second):
        discretisation.u.x.array[:] = np.random.default_rng(0).random(len(discretisation.u.x.array))
    norms = [fem.petsc.assemble_vector(d.residual).norm() for d in (first, second, first)]
    assert norms[0] == norms[2] != norms[1]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A process that has compiled nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "_compiled", {})
    return compiling.cache_folder()


def test_leftovers_of_killed_compiles_are_cleared(poisson, empty_cache):
    """A `.c` file without its `.c.cached` would make FFCx wait for two minutes."""
    assert empty_cache.parts[-2:] == ("sciml", "forms")
    problem = poisson(load=lambda x: sin(x[0]))
    solve(problem, degree=1, cells=2, measure_error=False)
    compiled = sorted(empty_cache.glob("*.c"))
    assert compiled
    assert all(file.with_suffix(".c.cached").exists() for file in compiled)
    for file in compiled:
        file.with_suffix(".c.cached").unlink()
    (empty_cache / "libffcx_forms_of_another_time.c").touch()
    compiling._compiled.clear()
    start = time.perf_counter()
    solve(problem, degree=1, cells=2, measure_error=False)
    assert time.perf_counter() - start < 60
    assert not (empty_cache / "libffcx_forms_of_another_time.c").exists()
    assert all(file.with_suffix(".c.cached").exists() for file in compiled)


def test_a_later_process_finds_compiled_forms_on_disk(poisson, empty_cache):
    problem = poisson(load=lambda x: sin(x[0]))
    solve(problem, degree=1, cells=2, measure_error=False)
    stamps = {file: file.stat().st_mtime_ns for file in empty_cache.glob("*.so")}
    assert stamps
    compiling._compiled.clear()
    solve(poisson(load=lambda x: sin(x[0])), degree=1, cells=2, measure_error=False)
    assert {file: file.stat().st_mtime_ns for file in empty_cache.glob("*.so")} == stamps


@pytest.mark.parametrize("degree", [0, -1, 5])
def test_degrees_that_are_not_offered_are_refused(poisson, degree):
    problem = poisson()
    with pytest.raises(OptionError, match=f"degree={degree}"):
        solve(problem, degree=degree)
    with pytest.raises(OptionError, match="gradient needs a degree of at least 1, and 4 is the highest"):
        Discretisation(problem, problem.domain.mesh(2), degree)

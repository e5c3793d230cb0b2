"""Members of a family one after the other: the same as alone, by index, and the error of what is kept."""

from itertools import pairwise

import numpy as np
import pytest
from ufl import grad

from sciml import Box, Dirichlet, Problem, load_problem, measure_label_errors, parameter, solve, solve_members
from sciml.errors import DivergenceError, OptionError, ParameterError, UnsupportedError
from sciml.fem import Discretisation

GRID = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
FAMILIES = {
    "darcy/two_phase": {"degree": 1, "cells": 16, "cell_type": "tensor"},
    "darcy/log_normal": {"degree": 2, "cells": 8},
    "poisson/peak": {"degree": 1, "cells": 8},
    "wave/two_materials": {"degree": 1, "cells": 10, "scheme": "explicit"},
    "heat/moving_source": {"degree": 1, "cells": 8, "steps": 6},
}


def kept(solution):
    times = [solution.problem.time.end] if solution.problem.evolves else []
    return solution.evaluate(GRID, *times)


def counted(monkeypatch):
    """How many discretisations are made."""
    made, original = [], Discretisation.__init__

    def counting(self, *arguments, **keywords):
        made.append(self)
        original(self, *arguments, **keywords)

    monkeypatch.setattr(Discretisation, "__init__", counting)
    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_each_member_is_what_it_is_alone(monkeypatch, name):
    made = counted(monkeypatch)
    run = list(solve_members(name, 3, seed=2, **FAMILIES[name]))
    assert len(made) == 1
    assert [s.problem.member for s in run] == [(2, 0), (2, 1), (2, 2)]
    for index, solution in enumerate(run):
        alone = solve(load_problem(name).draw(index, 2), measure_error=False, **FAMILIES[name])
        scale = np.abs(kept(alone)).max()
        np.testing.assert_allclose(kept(solution), kept(alone), rtol=0, atol=1e-12 * scale)
    assert np.abs(kept(run[0]) - kept(run[1])).max() > 1e-3 * scale


def test_a_run_goes_on_where_it_was_interrupted():
    family = load_problem("darcy/two_phase")
    whole = [kept(s) for s in solve_members(family, 4, **FAMILIES["darcy/two_phase"])]
    rest = [kept(s) for s in solve_members(family, range(2, 4), **FAMILIES["darcy/two_phase"])]
    np.testing.assert_array_equal(rest, whole[2:])
    assert list(solve_members(family, 0)) == []


class Choosy(Problem):
    """A family whose members differ in structure."""

    domain = Box((0.0, 0.0), (1.0, 1.0))
    power = parameter(1, between=(1, 3), integer=True)
    k = parameter(1.0, between=(1.0, 2.0))
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return self.k * grad(u)

    def load(self, x):
        return x[0] ** self.power


def test_members_of_another_structure_are_solved_anew(monkeypatch):
    family = Choosy()
    powers = [family.draw(k).parameters["power"] for k in range(6)]
    changes = 1 + sum(a != b for a, b in pairwise(powers))
    assert changes > 2
    alone = [kept(solve(family.draw(k), degree=1, cells=6, measure_error=False)) for k in range(6)]
    made = counted(monkeypatch)
    found = [kept(s) for s in solve_members(family, 6, degree=1, cells=6)]
    assert changes <= len(made) <= 6
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-14)


def test_the_error_is_measured_where_asked_and_its_levels_are_shared(monkeypatch):
    made = counted(monkeypatch)
    run = list(solve_members("darcy/log_normal", 2, degree=1, cells=8, measure_error=True))
    # Three levels, and a fourth where their rate is low.
    assert len(made) <= 4
    assert all(s.error_estimate.relative_l2 > 0 for s in run)


@pytest.mark.slow
def test_other_solvers_take_members_too():
    (solution,) = solve_members("darcy/log_normal", [4], "deepxde", adam=2, lbfgs=0, points=50, throw=False)
    assert solution.problem.member == (0, 4)
    assert solution.solver == "deepxde"


def test_progress_is_told():
    seen = []
    list(solve_members("poisson/peak", [3, 5], report=seen.append, **FAMILIES["poisson/peak"]))
    assert [(p.done, p.total, p.text) for p in seen] == [(1, 2, "member 3"), (2, 2, "member 5")]


def test_bad_input_is_refused_before_the_first_member():
    with pytest.raises(OptionError, match="needs a number of `cells`"):
        solve_members("darcy/two_phase", 3)
    with pytest.raises(OptionError, match="no option 'cell'"):
        solve_members("darcy/two_phase", 3, cell=4)
    with pytest.raises(ParameterError, match="members=-1"):
        solve_members("darcy/two_phase", -1, cells=4)
    with pytest.raises(ParameterError, match="whole numbers"):
        solve_members("darcy/two_phase", [0.5], cells=4)
    with pytest.raises(UnsupportedError, match="is not a family"):
        solve_members(Problem(domain=Box(0, 1), flux=lambda u: grad(u), conditions=[Dirichlet(0, on="boundary")]), 2)


def test_a_failure_names_its_member():
    class Bent(Choosy):
        power = parameter(1, between=(1, 1), integer=True)

        def reaction(self, u):
            return (10 * u) ** 3

    with pytest.raises(DivergenceError, match=r"^Member 4 of seed 7: Newton's method failed"):
        list(solve_members(Bent(), [4], seed=7, degree=1, cells=4, max_iterations=1))


# -- the error of labels ---------------------------------------------------------------------------------------


def test_the_difference_to_the_next_resolution_is_that_of_the_kept_values():
    options = FAMILIES["darcy/two_phase"]
    found = measure_label_errors("darcy/two_phase", [1, 4], GRID, refinements=2, **options)
    assert found.differences.shape == (2, 2)
    family = load_problem("darcy/two_phase")
    values = [
        kept(solve(family.draw(4), measure_error=False, **(options | {"cells": cells}))) for cells in (16, 32, 64)
    ]
    for row in (0, 1):
        expected = np.linalg.norm(values[row] - values[row + 1]) / np.linalg.norm(values[row + 1])
        assert found.differences[row, 1] == pytest.approx(expected, rel=1e-9)
    assert found.mean == pytest.approx(found.differences[0].mean())
    assert found.worst == found.differences[0].max()
    assert "25 points of 2 members against cells=32" in str(found)


def test_smooth_labels_show_their_rate():
    found = measure_label_errors("darcy/log_normal", 2, GRID, refinements=2, degree=1, cells=16)
    assert found.rate == pytest.approx(2, abs=0.2)
    assert found.extrapolated == pytest.approx(found.mean * 4 / 3, rel=0.1)


def test_labels_in_time_are_refined_in_time_too():
    found = measure_label_errors("heat/moving_source", 2, GRID, refinements=2, degree=1, cells=8, steps=8)
    assert 0 < found.worst < 0.1
    with pytest.raises(OptionError, match="give `steps`"):
        measure_label_errors("heat/moving_source", 2, GRID, degree=1, cells=8)
    with pytest.raises(OptionError, match="give `cells`"):
        measure_label_errors("darcy/two_phase", 2, GRID)
    with pytest.raises(ParameterError, match="refinements=0"):
        measure_label_errors("darcy/two_phase", 2, GRID, cells=8, refinements=0)

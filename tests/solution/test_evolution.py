"""Solutions in time: evaluation, norms, files, pictures, the reference's own error."""

import json

import meshio
import numpy as np
import pytest
from matplotlib.image import imread
from ufl import conditional, cos, exp, grad, lt, sin

import sciml
from sciml import Box, Dirichlet, Problem, dx, load_solution, solve
from sciml.errors import OptionError, OutputError, ParameterError, ScimlError, UnsupportedError
from sciml.forms import check_problem
from sciml.solution import ExactEvolution


def heat(**changes):
    """Data that all change in time; the solution is sin(3 x₀) cos(2 x₁) exp(−t)."""
    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "time": (0.0, 1.0),
        "damping": 1.0,
        "flux": lambda u: grad(u),
        "exact": lambda x, t: exp(-t) * sin(3 * x[0]) * cos(2 * x[1]),
        "conditions": [Dirichlet(on="boundary")],
        "quantities": lambda u, t: {"heat": u * dx, "weighted": (1 + t) * u * dx},
    }
    return Problem(**(parts | changes))


def truth(x, t):
    return np.exp(-t) * np.sin(3 * x[:, 0]) * np.cos(2 * x[:, 1])


POINTS = np.array([[0.3, 0.4], [0.9, 0.1], [0.0, 1.0]])


@pytest.fixture(scope="module")
def solution():
    return solve(heat(), cells=8, steps=32)


def test_evaluation_at_one_and_at_many_instants(solution):
    for instant in (0.0, 0.37, 1.0):
        assert np.abs(solution.evaluate(POINTS, t=instant) - truth(POINTS, instant)).max() < 5e-4
    many = solution(POINTS, t=[0.25, 0.5])
    assert many.shape == (2, 3)
    assert np.array_equal(many[1], solution(POINTS, 0.5))
    assert solution.gradient(POINTS, t=[0.25, 0.5, 1.0]).shape == (3, 3, 2)
    slope = solution.gradient(POINTS, 1.0)[0, 0]
    assert slope == pytest.approx(3 * np.exp(-1) * np.cos(0.9) * np.cos(0.8), rel=2e-2)
    assert np.array_equal(solution.at(0.5).evaluate(POINTS), solution(POINTS, 0.5))


def test_the_time_must_be_given_and_lie_in_the_interval(solution):
    with pytest.raises(ParameterError, match="give the time t"):
        solution.evaluate(POINTS)
    for wrong in (1.5, -0.1, np.nan):
        with pytest.raises(ParameterError, match="outside of the problem's time, 0 to 1"):
            solution.evaluate(POINTS, t=wrong)
    steady = solve("poisson/sine", cells=2)
    with pytest.raises(ParameterError, match="leave out t"):
        steady.evaluate(POINTS, t=0.0)
    with pytest.raises(UnsupportedError, match="does not run in time"):
        steady.at(0.0)
    with pytest.raises(UnsupportedError, match="write_vtu"):
        steady.write_pvd("never.pvd")
    with pytest.raises(UnsupportedError, match="runs in time and the other does not"):
        solution.error(steady)


def test_errors_are_norms_over_space_and_time(solution):
    """Against the integrals themselves: u + 0.1 t, whose error is known."""
    other = heat(exact=lambda x, t: exp(-t) * sin(3 * x[0]) * cos(2 * x[1]) + 0.1 * t)
    errors = solution.error(ExactEvolution(other))
    assert errors.l2 == pytest.approx(0.1 / np.sqrt(3), rel=2e-2)
    assert errors.max_error == pytest.approx(0.1, rel=2e-2)
    assert solution.error().relative_l2 < 1e-3
    assert solution.error(solution).relative_l2 == 0


@pytest.mark.parametrize("problem", [heat(), heat(damping=None, mass=1.0)], ids=["first order", "second order"])
@pytest.mark.parametrize("options", [{"cells": 8, "steps": 32}, {"cells": 9, "steps": 40}, {}])
def test_the_reference_measures_its_own_error(problem, options):
    """Within a factor of two, on levels that refine space and time together."""
    result = solve(problem, **options)
    assert 0.5 < result.error_estimate.relative_l2 / result.error().relative_l2 < 2
    if not options:
        assert result.error().relative_l2 < 1.5e-3
        assert "found by doubling" in result.details["notes"][-1]


def test_explicit_steps_choose_their_number():
    problem = sciml.load_problem("wave/standing")
    result = solve(problem, scheme="explicit", degree=1, cells=32)
    assert result.error().relative_l2 < 1e-2
    assert result.details["linear_solver"].startswith("none")
    assert 0.5 < result.error_estimate.relative_l2 / result.error().relative_l2 < 2


def test_quantities_are_those_of_their_time(solution):
    integral = (1 - np.cos(3)) / 3 * np.sin(2) / 2
    end = solution.quantities()
    assert end["heat"] == pytest.approx(np.exp(-1) * integral, rel=2e-3)
    assert end["weighted"] == pytest.approx(2 * end["heat"], rel=1e-12)
    curves = solution.quantities_over_time()
    assert curves["t"][[0, -1]].tolist() == [0.0, 1.0]
    assert curves["heat"] == pytest.approx(np.exp(-curves["t"]) * integral, rel=2e-3)


def test_saving(solution, tmp_path):
    loaded = load_solution(solution.save(tmp_path / "s.h5"), heat())
    assert np.allclose(loaded(POINTS, t=[0.0, 0.3, 1.0]), solution(POINTS, t=[0.0, 0.3, 1.0]), rtol=1e-13, atol=1e-15)
    assert np.array_equal(loaded.times, solution.times)
    assert loaded.error().relative_l2 == pytest.approx(solution.error().relative_l2, rel=1e-9)


def test_a_series_for_paraview(solution, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    reader = pyvista.get_reader(solution.write_pvd(tmp_path / "s.pvd"))
    assert np.allclose(reader.time_values, solution.times)
    reader.set_active_time_point(len(solution.times) // 2)
    (block,) = reader.read()
    instant = solution.times[len(solution.times) // 2]
    assert np.allclose(block.point_data["u"], solution(block.points[:, :2], t=instant), atol=1e-12)
    assert np.allclose(block.point_data["u_exact"], truth(block.points, instant), atol=1e-12)
    last = meshio.read(solution.write_vtu(tmp_path / "end.vtu"))
    assert np.allclose(last.point_data["u"], solution(last.points[:, :2], t=1.0), atol=1e-12)


@pytest.mark.parametrize("name", ["heat/sine", "phase_field/front"])
def test_pictures_show_several_instants(name, tmp_path):
    figure = solve(name, cells=8, steps=8).plot(tmp_path / "p.png")
    texts = " ".join(t.get_text() for axes in figure.axes for t in [axes.title, *(axes.get_legend().texts if axes.get_legend() else [])])  # fmt: skip
    assert texts.count("t = ") >= 3
    assert imread(tmp_path / "p.png").std() > 0.05


def test_the_record(solution):
    record = solution.record()
    assert record["details"]["steps"] == 32
    assert "bdf2" in record["details"]["start"]
    assert json.dumps(record, allow_nan=False)


def test_comparing_with_the_reference():
    comparison = sciml.compare("heat/quench", ("fenics", {"cells": 4, "steps": 8, "degree": 1}))
    truth, coarse = comparison.rows
    assert truth.label == "fenics (truth)"
    assert 1e-3 < coarse.relative_l2 < 0.2
    assert comparison.plot().axes


# -- declarations and options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time": None}, "`damping` goes with `time`"),
        ({"damping": None}, "needs `mass` .* or `damping`"),
        ({"time": 0.0}, "later end"),
        ({"time": (1.0, 0.0)}, "later end"),
        ({"time": float("inf")}, "later end"),
        ({"time": "soon"}, "takes the end"),
        ({"exact": None, "conditions": []}, "needs `initial`"),
        ({"exact": None, "mass": 1.0, "initial": 0.0, "conditions": []}, "needs `initial_velocity`"),
        ({"initial_velocity": 0.0}, "`initial_velocity` goes with `mass`"),
        ({"damping": lambda x: x}, "`damping`: .* shape"),
        ({"parameters": {"t": 1.0}}, "'t' is the time"),
    ],
)
def test_declarations_that_do_not_fit(changes, words):
    with pytest.raises(ScimlError, match=words):
        check_problem(heat(**changes))


def test_absorbing_sides_need_a_time():
    problem = Problem(
        domain=Box(0, 1), flux=lambda u: grad(u), load=1.0, conditions=[sciml.Absorbing(impedance=1.0, on="boundary")]
    )
    with pytest.raises(ScimlError, match="runs in time"):
        check_problem(problem)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 10, "step": 0.1}, "one of them"),
        ({"step": 0.3}, "does not divide the time of 1; with steps=3"),
        ({"scheme": "newmark"}, "scheme=newmark does not fit .* theta, bdf2"),
        ({"scheme": "heun"}, "scheme"),
        ({"steps": 0}, "steps"),
    ],
)
def test_options_that_do_not_fit(options, words):
    with pytest.raises(OptionError, match=words):
        solve(heat(), cells=2, **options)


def test_steps_are_for_what_runs_in_time():
    with pytest.raises(OptionError, match="`steps` is for problems that run in time"):
        solve("poisson/sine", steps=4)


def test_a_length_of_steps():
    assert solve(heat(), cells=2, step=0.125).details["steps"] == 8


def test_a_damaged_series_is_told(solution, tmp_path):
    path = solution.save(tmp_path / "s.h5")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(OutputError, match="cannot be read"):
        load_solution(path, heat())


def test_fluxes_that_jump_are_solved():
    layered = heat(exact=None, load=0.0, initial=0.0, conditions=[Dirichlet(1.0, on="left")],
                   flux=lambda u, x: conditional(lt(x[0], 0.5), 1.0, 10.0) * grad(u))  # fmt: skip
    warm = solve(layered, cells=8, steps=16)(np.array([[0.5, 0.5]]), t=[0.0, 1.0])[:, 0]
    assert warm[0] == pytest.approx(0, abs=1e-12)
    assert 0.5 < warm[1] < 1


def test_new_values_of_parameters_share_the_compiled_forms():
    from sciml.fem.compiling import compile_seconds

    problem = heat(parameters={"k": 1.0}, flux=lambda u, p: p.k * grad(u))
    solve(problem, cells=4, steps=4, measure_error=False)
    before = compile_seconds()
    solve(problem.with_parameters(k=3.0), cells=4, steps=4, measure_error=False)
    assert compile_seconds() == before

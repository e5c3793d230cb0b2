"""Solutions of several fields: errors of each, files, pictures, quantities of interest."""

import meshio
import numpy as np
import pytest
from matplotlib.image import imread
from ufl import Identity, as_vector, cos, div, dot, exp, grad, pi, sin

from sciml import Box, Dirichlet, Mean, Neumann, PointValue, Problem, ds, dx, load_solution, scalar, solve, vector
from sciml.errors import UnknownNameError
from sciml.solution import ExactField, FEField, evaluate_quantities, measure_errors

SQUARE = Box((0, 0), (1, 1))


def whirl(x):
    stream = sin(x[0] + 0.5) * exp(x[1])
    return as_vector([stream.dx(1), -stream.dx(0)])


def stokes():
    return Problem(
        domain=SQUARE,
        fields={"velocity": vector, "pressure": scalar.element(lower=1)},
        flux=lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
        reaction=lambda velocity: {"pressure": div(velocity)},
        exact=lambda x: {"velocity": whirl(x), "pressure": x[0] * x[1] + 2},
        conditions=[Dirichlet(on=["left", "top"], field="velocity"), Neumann(on=["right", "bottom"], field="velocity")],
        quantities=lambda velocity, pressure, n: {
            "flow through the wall": dot(velocity, n) * ds,
            "pressure": pressure * dx,
            "force": (dot(grad(velocity), n)[0] - pressure * n[0]) * ds("right"),
            "centre": PointValue(velocity[0] + pressure, at=(0.5, 0.5)),
        },
    )


def mixed():
    return Problem(
        domain=SQUARE,
        fields={"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)},
        flux=lambda potential: {"flow": potential * Identity(2)},
        reaction=lambda flow: {"flow": flow, "potential": -div(flow)},
        exact=lambda x: {"flow": grad(sin(pi * x[0]) * exp(x[1])), "potential": sin(pi * x[0]) * exp(x[1])},
        conditions=[Neumann(on="boundary", field="flow")],
    )


def in_time():
    def exact(x, t):
        decay = exp(-0.5 * t)
        return {"velocity": decay * whirl(x), "pressure": decay * cos(pi * x[0])}

    return Problem(
        domain=SQUARE,
        time=0.5,
        damping={"velocity": 1.0},
        fields={"velocity": vector, "pressure": scalar.element(lower=1)},
        flux=lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
        reaction=lambda velocity: {"pressure": div(velocity)},
        exact=exact,
        conditions=[Dirichlet(on="boundary", field="velocity"), Mean(0.0, field="pressure")],
    )


def rod():
    """Two scalars on an interval."""
    return Problem(
        domain=Box(0, 2),
        fields={"heat": scalar, "salt": scalar.element(lower=1)},
        flux=lambda heat, salt: {"heat": grad(heat) + 0.5 * grad(salt), "salt": grad(salt)},
        exact=lambda x: {"heat": 3 * sin(x[0]), "salt": x[0] ** 2},
        conditions=[
            Dirichlet(on="boundary", field="heat"),
            Dirichlet(on="left", field="salt"),
            Neumann(on="right", field="salt"),
        ],
        quantities=lambda heat, salt: {"both": (heat + 2 * salt) * dx},
    )


CASES = {"Taylor–Hood": stokes, "Raviart–Thomas": mixed, "rod": rod}


@pytest.fixture(scope="module", params=CASES)
def solution(request):
    return solve(CASES[request.param](), cells=6, degree=2, measure_error=False)


def test_errors_of_each_field(formula):
    """u + (0.3, 0.4) and p + 0.5: the worst field is reported, and each by its name."""
    problem = stokes()
    exact = ExactField(problem)
    shift = np.array([0.3, 0.4, 0.5])
    errors = measure_errors(formula(problem, lambda x: exact.evaluate(x) + shift, exact.gradient), exact)
    velocity, pressure = errors.fields["velocity"], errors.fields["pressure"]
    assert list(errors.fields) == ["velocity", "pressure"]
    assert velocity.l2 == pytest.approx(0.5)
    assert velocity.max_error == pytest.approx(0.5)
    assert pressure.l2 == pytest.approx(0.5)
    # ‖xy + 2‖² = 1/9 + 1 + 4
    assert pressure.relative_l2 == pytest.approx(0.5 / np.sqrt(46 / 9))
    assert errors.relative_l2 == max(velocity.relative_l2, pressure.relative_l2)
    assert errors.relative_h1 == max(velocity.relative_h1, pressure.relative_h1)
    assert errors.as_dict()["fields"]["pressure"]["l2"] == pressure.l2


def test_one_field_has_no_errors_by_name(poisson, formula):
    problem = poisson(exact=lambda x: x[0])
    errors = measure_errors(formula(problem, lambda x: 2 * x[:, 0]), ExactField(problem))
    assert errors.fields == {}
    assert errors.relative_l2 == pytest.approx(1)


def test_a_part_is_a_field(solution):
    problem = solution.problem
    points = problem.domain.sample(60, np.random.default_rng(0))
    values, slopes = solution.evaluate(points), solution.gradient(points)
    for slot in problem.layout:
        part = solution.field.part(slot.name)
        assert (part.name, part.shape) == (slot.name, slot.shape)
        own = list(slot.components) if slot.shape else slot.offset
        np.testing.assert_array_equal(part.evaluate(points), values[:, own])
        np.testing.assert_array_equal(part.gradient(points), slopes[:, own])
    with pytest.raises(UnknownNameError, match="no field named"):
        solution.field.part("temperature")


def test_saved_and_loaded(solution, tmp_path):
    """Each field in its own space, at points, in norms and in gradients."""
    read = load_solution(solution.save(tmp_path / "solution.h5"), solution.problem)
    assert isinstance(read.field, FEField)
    points = solution.problem.domain.sample(60, np.random.default_rng(0))
    np.testing.assert_allclose(read.evaluate(points), solution.evaluate(points), rtol=0, atol=1e-12)
    np.testing.assert_allclose(read.gradient(points), solution.gradient(points), rtol=0, atol=1e-10)
    one, other = solution.error(), read.error()
    for name in solution.problem.fields:
        assert other.fields[name].relative_l2 == pytest.approx(one.fields[name].relative_l2, rel=1e-9)
    degrees = [part.degree for part in solution.field.function.parts]
    assert [part.degree for part in read.field.function.parts] == degrees
    assert read.quantities() == pytest.approx(solution.quantities(), rel=1e-12)


def test_saved_and_loaded_in_time(tmp_path):
    solution = solve(in_time(), cells=4, steps=6, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"), solution.problem)
    points = SQUARE.sample(60, np.random.default_rng(0))
    np.testing.assert_array_equal(read.times, solution.times)
    for t in (0.0, 0.2, 0.5):
        np.testing.assert_allclose(read(points, t=t), solution(points, t=t), rtol=0, atol=1e-12)
        assert read.at(t).part("pressure").evaluate(points).shape == (60,)
    path = solution.write_pvd(tmp_path / "flow.pvd")
    pieces = sorted(path.parent.glob("flow_*.vtu"))
    assert len(pieces) == len(solution.times)
    assert {"velocity", "pressure"} <= set(meshio.read(pieces[-1]).point_data)
    figure = solution.plot(tmp_path / "flow.png")
    titles = [axis.get_title() for axis in figure.axes if axis.get_xlabel()]
    assert titles[::3] == ["|velocity|, fenics, t = 0.5", "pressure, fenics, t = 0.5"]


def test_files_for_paraview(solution, tmp_path):
    """Every field by its name, with its exact values and its error; vectors padded to three components."""
    dim, slots = solution.problem.dim, solution.problem.layout
    content = meshio.read(solution.write_vtu(tmp_path / "solution.vtu"))
    assert set(content.point_data) == {f"{slot.name}{end}" for slot in slots for end in ("", "_exact", "_error")}
    exact = ExactField(solution.problem).evaluate(content.points[:, :dim])
    for slot in slots:
        array = content.point_data[f"{slot.name}_exact"]
        own = array[:, : slot.size] if slot.shape else array[:, None]
        np.testing.assert_allclose(own, exact[:, list(slot.components)], rtol=0, atol=1e-12)
        assert array.shape[1:] == ((3,) if slot.shape else ())
    with meshio.xdmf.TimeSeriesReader(solution.write_xdmf(tmp_path / "solution.xdmf")) as series:
        series.read_points_cells()
        assert {slot.name for slot in slots} <= set(series.read_data(0)[1])


def test_pictures(solution, tmp_path):
    """A row of maps for each field, or a line for each."""
    figure = solution.plot(tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png")[..., :3].std() > 0.02
    names = list(solution.problem.fields)
    if solution.problem.dim == 1:
        labels = figure.axes[0].get_legend_handles_labels()[1]
        assert [label for label in labels if label != "exact"] == [f"{name}, fenics" for name in names]
        return
    titles = [axis.get_title() for axis in figure.axes if axis.get_xlabel()]
    vector_name, scalar_name = names
    assert titles == [
        *[f"|{vector_name}|, fenics", f"|{vector_name}|, exact", "error"],
        *[f"{scalar_name}, fenics", f"{scalar_name}, exact", "error"],
    ]


def test_quantities_of_several_fields():
    """∮ u · n = 0, ∫ xy + 2 = 9/4, and the traction on the right side by hand."""
    problem = stokes()
    found = evaluate_quantities(problem, ExactField(problem))
    assert found["flow through the wall"] == pytest.approx(0, abs=1e-12)
    assert found["pressure"] == pytest.approx(9 / 4)
    # u₀ = sin(x + ½) eʸ: ∂u₀/∂x at x = 1 is cos 1.5 eʸ, and p = y + 2 there
    assert found["force"] == pytest.approx(np.cos(1.5) * (np.e - 1) - 2.5)
    assert found["centre"] == pytest.approx(np.sin(1.0) * np.exp(0.5) + 2.25)
    solved = solve(problem, cells=8, degree=2, measure_error=False).quantities()
    assert solved == pytest.approx(found, rel=1e-2, abs=1e-4)


def test_quantities_of_two_scalars():
    found = solve(rod(), cells=16, degree=3, measure_error=False).quantities()
    assert found["both"] == pytest.approx(3 * (1 - np.cos(2)) + 16 / 3, rel=1e-5)

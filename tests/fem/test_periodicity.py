"""Node identification: what is identified is equal, and the system left is that of an independent construction."""

import numpy as np
import pytest
from ufl import Identity, as_matrix, as_vector, cos, dot, exp, grad, pi, sin, sym, tr

from sciml import (
    Box,
    Dirichlet,
    Mean,
    MeshData,
    MeshDomain,
    MeshFile,
    Neumann,
    Periodic,
    Problem,
    coefficient,
    dx,
    solve,
    vector,
)
from sciml.errors import ConditionError
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.constraints import Independent
from sciml.fem.discretisation import Discretisation
from sciml.fem.statics import solve_static
from sciml.fem.stepping import System, march, stable_step
from sciml.forms import analyse
from sciml.forms.schemes import Scheme
from sciml.problem import box_mesh
from sciml.problem.mesh import curve_mesh
from sciml.solution import ExactField, FEField, measure_errors


def hooke(u):
    return 2 * sym(grad(u)) + 1.5 * tr(grad(u)) * Identity(len(u))


def waves(x):
    """Periodic with period 1 along every axis, without symmetry."""
    value = sin(2 * pi * x[0] + 0.3) + 0.3 * cos(4 * pi * x[0])
    return (
        value
        if len(x) == 1
        else value * (1 + 0.5 * cos(2 * pi * x[1])) * (1 if len(x) == 2 else exp(sin(2 * pi * x[2])))
    )


def vector_waves(x):
    rest = [sin(2 * pi * (x[0] + x[1] + x[2]))] if len(x) > 2 else []
    return as_vector([sin(2 * pi * x[0]) * cos(2 * pi * x[1]), cos(2 * pi * x[0] + 1), *rest])


def diffusion(dim=2, **changes):
    """−div((2 + sin 2πx₀) ∇u) = f on the unit box, periodic in all directions, of mean zero."""
    parts = {
        "domain": Box((0.0,) * dim, (1.0,) * dim),
        "flux": lambda u, x: (2 + sin(2 * pi * x[0])) * grad(u),
        "exact": waves,
        "conditions": [Periodic("boundary"), Mean(0.0)],
    }
    return Problem(**(parts | changes))


def body(dim=2, **changes):
    return diffusion(dim, **({"fields": {"d": vector}, "flux": hooke, "exact": vector_waves} | changes))


HELD = [Periodic("left", "right"), Dirichlet(on="bottom"), Neumann(on="top")]
CASES = {
    "diffusion, one axis": lambda: diffusion(conditions=HELD),
    "diffusion, both axes": lambda: diffusion(),
    "advection": lambda: diffusion(conditions=HELD, reaction=lambda u: 3 * u.dx(1) + u),
    "body, one axis": lambda: body(conditions=HELD),
    "body, both axes": lambda: body(),
    "body, one component": lambda: body(
        conditions=[
            Periodic("left", "right", component=0),
            Dirichlet(on=["left", "right"], component=1),
            Dirichlet(on="bottom"),
        ]
    ),
    "reversed": lambda: diffusion(conditions=[Periodic("right", "left"), *HELD[1:]]),
    "line": lambda: diffusion(1),
    "cube": lambda: diffusion(3),
    "space body": lambda: body(3),
}


def solved(problem, data, degree, **options):
    disc = Discretisation(problem, data, degree)
    solve_static(disc, analyse(problem), **options)
    return disc


def jump(disc):
    """Largest difference of the unknown on identified parts, matched here by coordinates."""
    found = 0.0
    for condition in disc.problem.periodic:
        for component in condition.components(disc.problem.n_components):
            a, b = (disc.unknowns_on(part, component) for part in (condition.minus, condition.plus))
            gap = disc.unknowns.points[a][:, None] + condition.translation - disc.unknowns.points[b]
            first, second = np.nonzero(np.abs(gap).max(axis=2) < 1e-9)
            assert len(first) == len(a) == len(b) > 0
            found = max(found, np.abs(disc.u.x.array[a[first]] - disc.u.x.array[b[second]]).max())
    return found


def dense_solution(disc):
    """P from rounded coordinates, Pᵀ A P, Dirichlet rows and a mean value, all in NumPy."""
    from dolfinx import fem

    problem, unknowns = disc.problem, disc.unknowns
    disc.u.x.array[:] = 0.0
    matrix = fem.petsc.assemble_matrix(disc.jacobian)
    matrix.assemble()
    dense, load = matrix[:, :], -fem.assemble_vector(disc.residual).array
    lower, extent = problem.domain.lower, problem.domain.extent
    keys = []
    for point, component in zip(unknowns.points, unknowns.component, strict=True):
        place = point.copy()
        for condition in problem.periodic:
            axis = int(np.argmax(np.abs(condition.translation)))
            if component in condition.components(problem.n_components):
                place[axis] = lower[axis] + (place[axis] - lower[axis]) % extent[axis]
                if np.isclose(place[axis], lower[axis] + extent[axis]):
                    place[axis] = lower[axis]
        keys.append((component, *np.round(place, 9) + 0.0))
    columns = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    prolongation = np.zeros((len(keys), len(columns)))
    prolongation[np.arange(len(keys)), [columns[key] for key in keys]] = 1.0
    reduced, right = prolongation.T @ dense @ prolongation, prolongation.T @ load
    dofs, values = disc.dirichlet
    given = np.full(len(columns), np.nan)
    given[[columns[keys[k]] for k in dofs]] = values
    held = ~np.isnan(given)
    right = right - reduced[:, held] @ given[held]
    solution = given.copy()
    free = np.flatnonzero(~held)
    if held.any():
        solution[free] = np.linalg.solve(reduced[np.ix_(free, free)], right[free])
        return prolongation @ solution
    # Constants are free: least squares, then the mean of each component by quadrature.
    w = prolongation @ np.linalg.lstsq(reduced, right, rcond=1e-12)[0]
    disc.u.x.array[:] = w
    for c in range(problem.n_components):
        u = problem.declaration.u if problem.shape == () else problem.declaration.u[c]
        w[unknowns.component == c] -= disc.functional(u * problem.dx) / problem.domain.volume
    return w


@pytest.mark.parametrize("solver", ["direct", "gamg"])
@pytest.mark.parametrize("name", CASES)
def test_equal_sides_and_the_dense_twin(name, solver):
    """Every degree of freedom on identified sides, and every one of the solution against NumPy's, to 1e-12."""
    problem = CASES[name]()
    cells, degree = {1: (7, 3), 2: ((4, 3), 2), 3: ((3, 2, 2), 1 if problem.shape else 2)}[problem.dim]
    options = {"linear_solver": solver} | ({"petsc_options": {"ksp_rtol": 1e-15}} if solver == "gamg" else {})
    disc = solved(problem, problem.domain.mesh(cells), degree, **options)
    found, size = disc.u.x.array.copy(), np.abs(disc.u.x.array).max()
    assert size > 0.1
    assert jump(disc) <= 1e-12 * size
    assert np.abs(found - dense_solution(disc)).max() <= 1e-12 * size


@pytest.mark.parametrize("shape", ["simplex", "tensor"])
@pytest.mark.parametrize(("dim", "degree"), [(1, 4), (2, 1), (2, 2), (2, 4), (3, 1), (3, 3)])
def test_the_independent_ones(dim, shape, degree):
    """Of a mesh of n cells per axis and degree p, (n p)^dim; constants and products of waves are reproduced."""
    problem = diffusion(dim)
    disc = Discretisation(problem, problem.domain.mesh(2, shape), degree)
    independent = Independent(disc)
    assert independent.n_owned == (2 * degree) ** dim
    rows = independent.prolongation[:, :]
    np.testing.assert_array_equal(rows.sum(axis=1), 1)
    np.testing.assert_array_equal(np.unique(rows), [0, 1])
    wave = np.cos(2 * np.pi * disc.unknowns.points).prod(axis=1)
    np.testing.assert_allclose(rows @ independent.values(wave), wave, atol=1e-12)


def test_without_periodicity_nothing_is_formed():
    problem = diffusion(conditions=[Dirichlet(on="boundary")])
    independent = Independent(Discretisation(problem, problem.domain.mesh(2), 2))
    assert independent.prolongation is None
    assert independent.n_owned == 25


MESHES = {1: (16, 32, 2e-2), 2: (8, 16, 2e-3), 3: (6, 12, 2e-4)}


def errors_on(problem, degree, *meshes):
    """Relative errors in L2 and H1 on each mesh."""
    errors = [solve(problem, degree=degree, cells=n, measure_error=False).error() for n in meshes]
    return np.array([[e.relative_l2, e.relative_h1] for e in errors])


@pytest.mark.parametrize("declare", [diffusion, body])
@pytest.mark.parametrize("degree", MESHES)
def test_orders(declare, degree):
    *meshes, bound = MESHES[degree]
    coarse, fine = errors_on(declare(), degree, *meshes)
    np.testing.assert_allclose(np.log2(coarse / fine), [degree + 1, degree], atol=0.15)
    assert fine[0] < bound


def test_orders_in_space():
    problem = diffusion(3, exact=lambda x: sin(2 * pi * x[0]) * cos(2 * pi * x[1]) + sin(2 * pi * x[2]))
    coarse, fine = errors_on(problem, 2, 4, 8)
    np.testing.assert_allclose(np.log2(coarse / fine), [3, 2], atol=0.25)
    assert fine[0] < 1e-2


def test_a_nonlinear_law():
    """Newton's method on the identified system, with Dirichlet data and, in steps, along the tangent."""
    problem = diffusion(
        flux=lambda u: (1 + u**2) * grad(u), exact=lambda x: 1 + sin(2 * pi * x[0]) * (1 + x[1]), conditions=HELD
    )
    plain, steps = (solve(problem, degree=3, cells=12, measure_error=False, load_steps=n) for n in (1, 3))
    assert plain.error().relative_l2 < 5e-5
    points = problem.domain.sample(50, np.random.default_rng(0))
    np.testing.assert_allclose(steps.evaluate(points), plain.evaluate(points), atol=1e-9)


def test_a_nonlinear_law_whose_mean_is_given():
    problem = diffusion(flux=lambda u: (1 + dot(grad(u), grad(u)) / 50) * grad(u))
    error = solve(problem, degree=3, cells=16, measure_error=False).error()
    assert error.relative_l2 < 5e-4


def test_translations_of_a_body_are_fixed_by_its_mean():
    solution = solve(
        body(conditions=[Periodic("boundary"), Mean((1.0, -2.0))], quantities=lambda u: {"x": u[0] * dx, "y": u[1] * dx}),
        degree=2, cells=8, measure_error=False,
    )  # fmt: skip
    values = solution.quantities()
    assert values["x"] == pytest.approx(1, abs=1e-12)
    assert values["y"] == pytest.approx(-2, abs=1e-12)


# -- meshes --------------------------------------------------------------------------------------------------


def test_a_mesh_and_its_refinements():
    """Opposite sides of the shipped cell match, quadratic cells along the hole included, however often it is divided."""
    problem = diffusion(
        domain=MeshFile("../../data/meshes/periodic_cell.msh"),
        flux=lambda u: grad(u),
        exact=None,
        load=lambda x: cos(2 * pi * x[0]) * sin(2 * pi * x[1]),
        conditions=[Periodic("left", "right"), Periodic("bottom", "top"), Mean(0.0)],
    )
    data = problem.domain.mesh()
    for _ in range(3):
        for degree in (1, 3):
            assert jump(solved(problem, data, degree)) == 0.0
        data = data.refine()
    solution = solve(problem, degree=2)
    assert solution.error_estimate.relative_l2 < 1e-2
    assert solution.error_estimate.rate_l2 > 2.5


def test_parts_that_are_bent():
    """Sides that are no planes: the strip between y(x) and y(x) + 2, y = 0.2 sin πx."""

    def bend(points):
        return np.stack([points[:, 0], points[:, 1] + 0.2 * np.sin(np.pi * points[:, 0])], axis=1)

    domain = MeshDomain(curve_mesh(box_mesh((0, 0), (1, 2), (4, 8)), bend, 2))
    problem = diffusion(
        domain=domain,
        exact=lambda x: x[0] ** 2 * sin(pi * x[1]),
        flux=lambda u: grad(u),
        conditions=[Periodic("x1-", "x1+"), Dirichlet(on=["x0-", "x0+"])],
    )
    (condition,) = problem.periodic
    np.testing.assert_allclose(condition.translation, [0, 2], atol=1e-14)
    disc = solved(problem, domain.mesh(), 3)
    assert jump(disc) == 0.0
    assert measure_errors(FEField(problem, disc.snapshot()), ExactField(problem)).relative_l2 < 2e-3


def test_a_hexagon():
    """Three pairs of sides; its corners fall into two classes of three. A wave of the lattice is found."""
    angles = np.arange(6) * np.pi / 3
    points = np.vstack([np.zeros(2), np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    cells = [[0, 1 + k, 1 + (k + 1) % 6] for k in range(6)]
    sides = {f"s{k}": [[1 + k, 1 + (k + 1) % 6]] for k in range(6)}
    data = MeshData(points, cells, "triangle", 1, sides)
    a = 2 * pi / 3
    problem = diffusion(
        domain=MeshDomain(data),
        flux=lambda u: grad(u),
        exact=lambda x: cos(2 * a * x[0]) + cos(a * (x[0] + 3**0.5 * x[1])) + cos(a * (x[0] - 3**0.5 * x[1])),
        conditions=[*(Periodic(f"s{k}", f"s{k + 3}") for k in range(3)), Mean(0.0)],
    )
    for _ in range(4):
        data = data.refine()
    disc = Discretisation(problem, data, 2)
    assert disc.n_dofs - Independent(disc).n_owned == 3 * (2 * 16 - 1) + 4
    solve_static(disc, analyse(problem))
    assert jump(disc) == 0.0
    assert measure_errors(FEField(problem, disc.snapshot()), ExactField(problem)).relative_l2 < 1e-3


def test_a_mesh_that_does_not_match_is_refused_by_the_kernel():
    """Where a mesh other than the domain's is given, too."""
    problem = diffusion()
    box = box_mesh((0, 0), (1, 1), 4)
    shifted = box.points.copy()
    shifted[(box.points[:, 0] == 1) & (box.points[:, 1] == 0.5), 1] += 0.1
    disc = Discretisation(problem, MeshData(shifted, box.cells, box.cell_type, 1, box.facet_groups), 1)
    with pytest.raises(ConditionError, match=r"do not match, the first at \(1, 0\.6\); mesh both parts alike"):
        Independent(disc)


# -- Dirichlet data that meet periodicity --------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_a_value_at_one_end_holds_at_the_other(reverse):
    """The top touches the right side only; the corner on the left takes its value."""
    box = box_mesh((0, 0), (1, 1), 4)
    top = box.facet_groups["x1+"]
    groups = dict(box.facet_groups) | {"end": top[box.points[top].mean(axis=1)[:, 0] > 0.75]}
    pair = ("x0+", "x0-") if reverse else ("x0-", "x0+")
    problem = diffusion(
        domain=MeshDomain(MeshData(box.points, box.cells, box.cell_type, 1, groups)),
        exact=None,
        load=1.0,
        conditions=[Periodic(*pair), Dirichlet(3.0, on="end")],
    )
    disc = solved(problem, problem.domain.mesh(), 1)
    corners = [int(np.argmin(np.linalg.norm(disc.unknowns.points - c, axis=1))) for c in ([0, 1], [1, 1])]
    np.testing.assert_array_equal(disc.u.x.array[corners], 3.0)
    assert jump(disc) == 0.0


def test_of_two_values_that_of_the_minus_side_holds():
    problem = diffusion(
        exact=None,
        load=0.0,
        conditions=[Periodic("right", "left"), Dirichlet(lambda x: x[0], on="top"), Dirichlet(0.0, on="bottom")],
    )
    disc = solved(problem, problem.domain.mesh(4), 1)
    x, y = disc.unknowns.points.T
    corners = (y > 0.99) & (np.abs(x - 0.5) > 0.49)
    np.testing.assert_allclose(disc.u.x.array[corners], [1, 1], rtol=1e-15)


# -- effective coefficients ----------------------------------------------------------------------------------


def effective(domain, coefficient, degree, cells=None, **extra):
    """Mean flux of k (e + ∇w) with a periodic w of mean zero, for e = (1, 0) and (0, 1)."""
    found = []
    for axis in range(2):

        def flux(u, x, p, axis=axis):
            return coefficient(x, p) * (grad(u) + as_vector(np.eye(2)[axis].tolist()))

        pairs = [Periodic("boundary")] if isinstance(domain, Box) else [Periodic("x0-", "x0+"), Periodic("x1-", "x1+")]
        problem = Problem(
            domain=domain,
            flux=flux,
            load=0.0,
            conditions=[*pairs, Mean(0.0)],
            quantities=lambda u, x, p, flux=flux: {f"q{k}": flux(u, x, p)[k] * dx for k in range(2)},
            **extra,
        )
        options = {} if cells is None else {"cells": cells}
        values = solve(problem, degree=degree, measure_error=False, **options).quantities()
        found.append([values["q0"], values["q1"]])
    return np.array(found) / domain.volume


def test_a_laminate(two_materials):
    """Harmonic mean across the layers, arithmetic along; linear in each layer, so exact."""
    k = coefficient({"steel": 10.0, "wood": 1.0})
    found = effective(two_materials(3), lambda x, p: p.k, 1, coefficients={"k": k})
    np.testing.assert_allclose(found, np.diag([20 / 11, 5.5]), atol=1e-12)


@pytest.mark.parametrize(("degree", "bound"), [(1, 2e-2), (2, 1e-4), (3, 1e-6)])
def test_a_smooth_laminate(degree, bound):
    """k = 2 + sin 2πx: √3 across and 2 along; the energy, and so the coefficient, converges at twice the order."""
    errors = [
        np.abs(effective(Box((0, 0), (1, 1)), lambda x, p: 2 + sin(2 * pi * x[0]), degree, n) - np.diag([3**0.5, 2]))
        for n in (8, 16)
    ]
    assert errors[1].max() < bound
    assert np.log2(errors[0][0, 0] / errors[1][0, 0]) == pytest.approx(2 * degree, abs=0.4)


def test_an_elastic_laminate(two_materials):
    """Shear across layers: the harmonic mean of the moduli, and no normal stress."""
    half = as_matrix([[0.0, 0.5], [0.5, 0.0]])

    def stress(u, p):
        strain = sym(grad(u)) + half
        return 2 * p.mu * strain + p.mu * tr(strain) * Identity(2)

    problem = Problem(
        domain=two_materials(3),
        fields={"d": vector},
        coefficients={"mu": coefficient({"wood": 1.0, "steel": 3.0})},
        flux=stress,
        load=(0.0, 0.0),
        conditions=[Periodic("x0-", "x0+"), Periodic("x1-", "x1+"), Mean(0.0)],
        quantities=lambda u, p: {"shear": stress(u, p)[0, 1] * dx, "normal": stress(u, p)[0, 0] * dx},
    )
    for solver in ("direct", "gamg"):
        values = solve(problem, degree=1, measure_error=False, linear_solver=solver).quantities()
        assert values["shear"] / problem.domain.volume == pytest.approx(1.5, abs=1e-9)
        assert values["normal"] == pytest.approx(0, abs=1e-9)


# -- in time -------------------------------------------------------------------------------------------------


def evolving(order, **changes):
    """A wave that travels (order 2) or decays (order 1) through a strip that is periodic along x."""
    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "time": 0.5,
        "flux": lambda u: grad(u),
        "conditions": [Periodic("left", "right"), Dirichlet(on=["bottom", "top"])],
    }
    if order == 1:
        parts |= {"damping": 1.0, "exact": lambda x, t: exp(-3 * t) * sin(2 * pi * (x[0] - t)) * (1 + x[1])}
    else:
        parts |= {"mass": 1.0, "exact": lambda x, t: sin(2 * pi * (x[0] - t)) * cos(t * x[1])}
    return Problem(**(parts | changes))


def build(problem, cells, degree):
    disc = Discretisation(problem, problem.domain.mesh(cells), degree)
    choice = choose_linear_solver("direct", symmetric=True, definite=True, dim=problem.dim, n_dofs=disc.n_dofs)
    return System(disc, choice, linear=bool(analyse(problem).linear))


def error_at_the_end(system, scheme, steps):
    for state in march(system, scheme, steps):
        last = state
    field = system.snapshot(last.u)
    assert jump(system.disc) == 0.0
    problem = system.problem.at_time(last.t)
    return measure_errors(FEField(problem, field), ExactField(problem)).relative_l2


@pytest.mark.parametrize(
    ("order", "scheme"),
    [(1, "theta"), (1, "bdf2"), (2, "newmark"), (2, "generalised_alpha")],
)
@pytest.mark.parametrize("law", ["linear", "nonlinear"])
def test_implicit_schemes_are_of_second_order(order, scheme, law):
    nonlinear = {"flux": lambda u: (1 + 0.3 * u**2) * grad(u)} if law == "nonlinear" else {}
    system = build(evolving(order, **nonlinear), 8, 3)
    coarse, fine = (error_at_the_end(system, Scheme(scheme), steps) for steps in (10, 20))
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.3)
    assert fine < 2e-2


def test_space_and_time_together():
    errors = [error_at_the_end(build(evolving(1), n, 1), Scheme("bdf2"), 4 * n) for n in (8, 16)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


def travelling(dim):
    """sin 2π(x₀ − t) in a box without sides."""
    return Problem(
        domain=Box((0.0,) * dim, (1.0,) * dim),
        time=1.0,
        mass=1.0,
        flux=lambda u: grad(u),
        load=0.0,
        exact=lambda x, t: sin(2 * pi * (x[0] - t)),
        conditions=[Periodic("boundary")],
    )


@pytest.mark.parametrize("dim", [1, 2])
def test_lumped_waves_travel(dim):
    errors = [error_at_the_end(build(travelling(dim), n, 1), Scheme("explicit"), 3 * n) for n in (16, 32)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)
    assert errors[1] < 3e-2


def test_the_stability_limit_of_the_identified_system():
    """2/√λ of the dense eigenvalue problem, for which every node of a periodic line has mass h: λ = 4/h²."""
    system = build(travelling(1), 10, 1)
    np.testing.assert_allclose(system.lumped_mass(), 0.1, rtol=1e-13)
    assert stable_step(system) == pytest.approx(0.1, rel=1e-3)


def test_a_wave_keeps_its_energy():
    system = build(travelling(2), 8, 2)
    work, energies = system.vector(), []
    for state in march(system, Scheme("newmark"), 50):
        system.mass.mult(state.v, work)
        kinetic = 0.5 * state.v.dot(work)
        system.stiffness(state.u, 0.0).mult(state.u, work)
        energies.append(kinetic + 0.5 * state.u.dot(work))
    assert np.ptp(energies) < 1e-9 * energies[0]


def test_data_that_move():
    """Dirichlet values that change in time meet identified corners."""
    problem = evolving(1, exact=lambda x, t: (1 + t) * (sin(2 * pi * x[0]) + x[1]))
    system = build(problem, 8, 3)
    assert error_at_the_end(system, Scheme("bdf2"), 4) < 1e-3

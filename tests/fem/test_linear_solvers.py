"""The choice of linear solvers, their agreement, multigrid on elasticity, and failures in words."""

import numpy as np
import pytest
from ufl import Identity, as_vector, exp, grad, inner, sin, sym, tr

from sciml import Box, Dirichlet, Mean, Neumann, Robin, solve, vector
from sciml.errors import DivergenceError, OptionError
from sciml.fem.algebra import choose_linear_solver, in_words, rigid_body_modes
from sciml.fem.discretisation import Discretisation


def hooke(u):
    return 2 * sym(grad(u)) + 1.5 * tr(grad(u)) * Identity(u.ufl_shape[0])


def smooth_vector(x):
    return as_vector([sin(x[0] + 2 * x[1]), exp(0.5 * x[0]), *([x[0] * x[2]] if len(x) > 2 else [])])


def body(poisson, dim, **changes):
    conditions = [Dirichlet(on="left"), Neumann(on="right")]
    return poisson(
        dim, **({"fields": {"d": vector}, "flux": hooke, "exact": smooth_vector, "conditions": conditions} | changes)
    )


PROBLEMS = {
    "Poisson": {"exact": lambda x: sin(x[0]) * exp(x[1])},
    "Robin": {"exact": lambda x: sin(x[0]) * x[1], "conditions": [Robin(alpha=2.0, on="boundary")]},
    "pure Neumann": {"load": lambda x: x[0] - 0.5, "conditions": [Mean(1.0)]},
    "advection": {"exact": lambda x: sin(x[0]) * exp(x[1]), "reaction": lambda u: 5 * u.dx(0)},
    "reaction": {
        "exact": lambda x: sin(x[0]) * exp(x[1]),
        "flux": lambda u, x: exp(x[0]) * grad(u),
        "reaction": lambda u: u,
    },
    "elasticity": {"fields": {"d": vector}, "flux": hooke, "exact": smooth_vector},
}


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("name", PROBLEMS)
def test_direct_and_multigrid_solutions_agree(poisson, name, degree):
    problem = poisson(**PROBLEMS[name])
    points = problem.domain.sample(50, np.random.default_rng(0))
    direct, gamg = (
        solve(problem, degree=degree, cells=12, measure_error=False, linear_solver=s) for s in ("direct", "gamg")
    )
    scale = np.abs(direct.evaluate(points)).max()
    assert np.abs(direct.evaluate(points) - gamg.evaluate(points)).max() < 1e-8 * scale
    assert direct.details["linear_iterations"] == 1
    assert 1 < gamg.details["linear_iterations"] < 100
    assert direct.residual < 1e-12
    assert gamg.residual < 1e-9


@pytest.mark.parametrize(("dim", "meshes"), [(2, (16, 32, 64)), (3, (4, 8, 12))])
def test_multigrid_on_elasticity_needs_no_more_iterations_on_finer_meshes(poisson, dim, meshes):
    problem = body(poisson, dim)
    iterations = [
        solve(problem, degree=1, cells=n, measure_error=False, linear_solver="gamg").details["linear_iterations"]
        for n in meshes
    ]
    assert iterations[-1] < 40
    assert iterations[-1] <= 1.6 * iterations[0]


@pytest.mark.parametrize("kind", ["pyamg", "pyamg_rs"])
@pytest.mark.parametrize("name", ["Poisson", "Robin", "pure Neumann", "reaction", "elasticity"])
def test_the_solutions_of_pyamg_are_the_direct_ones(poisson, name, kind):
    problem = poisson(**PROBLEMS[name])
    points = problem.domain.sample(50, np.random.default_rng(0))
    before = np.random.get_state()[1].copy()
    direct, other, again = (
        solve(problem, cells=12, measure_error=False, linear_solver=s) for s in ("direct", kind, kind)
    )
    scale = np.abs(direct.evaluate(points)).max()
    assert np.abs(direct.evaluate(points) - other.evaluate(points)).max() < 1e-8 * scale
    assert np.array_equal(other.evaluate(points), again.evaluate(points))
    assert 1 < other.details["linear_iterations"] < 100
    assert other.details["linear_solver"].startswith("PyAMG")
    assert np.array_equal(np.random.get_state()[1], before)


def test_pyamg_knows_rigid_body_modes(poisson):
    """With them its iterations grow slowly on the meshes of a body."""
    problem = body(poisson, 3)
    iterations = [
        solve(problem, degree=1, cells=n, measure_error=False, linear_solver="pyamg").details["linear_iterations"]
        for n in (4, 8, 12)
    ]
    assert iterations[-1] < 40
    assert iterations[-1] <= 2 * iterations[0]


def test_pyamg_on_a_nonlinear_law_and_in_time(poisson):
    nonlinear = poisson(flux=lambda u: (1 + u**2) * grad(u), reaction=lambda u: u, exact=lambda x: sin(x[0]) * x[1])
    with pytest.raises(OptionError, match="symmetric positive law"):
        solve(nonlinear, cells=8, measure_error=False, linear_solver="pyamg")
    energy = poisson(energy=lambda u: (1 + inner(grad(u), grad(u))) ** 0.5, flux=None, exact=lambda x: sin(x[0]) * x[1])
    heat = poisson(damping=1.0, time=0.5, exact=lambda x, t: sin(x[0] + t) * x[1])
    for problem in (energy, heat):
        direct, other = (
            solve(problem, cells=8, measure_error=False, linear_solver=s, **({"steps": 4} if problem.evolves else {}))
            for s in ("direct", "pyamg")
        )
        points = problem.domain.sample(50, np.random.default_rng(0))
        np.testing.assert_allclose(other.final.evaluate(points), direct.final.evaluate(points), atol=1e-7)


@pytest.mark.parametrize(
    "changes", [{"symmetric": False}, {"definite": False}, {"fields": 2}, {"processes": 2}], ids=lambda c: next(iter(c))
)
@pytest.mark.parametrize("kind", ["pyamg", "pyamg_rs"])
def test_pyamg_is_for_symmetric_positive_systems_of_one_process(kind, changes):
    given = {"symmetric": True, "definite": True, "dim": 2, "n_dofs": 100}
    assert choose_linear_solver(kind, **given).krylov == "cg"
    with pytest.raises(OptionError, match=f"linear_solver={kind} needs a symmetric positive law of one field on one"):
        choose_linear_solver(kind, **(given | changes))


@pytest.mark.parametrize(("dim", "count"), [(2, 3), (3, 6)])
@pytest.mark.parametrize("degree", [1, 2])
def test_rigid_body_modes_are_the_kernel_of_elasticity(poisson, dim, count, degree):
    from dolfinx import fem

    problem = body(poisson, dim, conditions=[Neumann(on="boundary")], domain=Box((2.0,) * dim, (3.0,) * dim))
    discretisation = Discretisation(problem, problem.domain.mesh(3), degree)
    matrix = fem.petsc.assemble_matrix(discretisation.jacobian)
    matrix.assemble()
    modes = rigid_body_modes(discretisation.space, discretisation.mesh).getVecs()
    assert len(modes) == count
    np.testing.assert_allclose([[a.dot(b) for a in modes] for b in modes], np.eye(count), atol=1e-13)
    assert max((matrix * mode).norm() for mode in modes) < 1e-12 * matrix.norm()
    other = matrix.createVecRight()
    other.setRandom()
    assert (matrix * other).norm() > 1e-3 * matrix.norm()


@pytest.mark.parametrize(
    ("arguments", "krylov", "preconditioner"),
    [
        ({"symmetric": True, "definite": True, "n_dofs": 100}, "preonly", "cholesky"),
        ({"symmetric": True, "definite": False, "n_dofs": 100}, "preonly", "lu"),
        ({"symmetric": False, "definite": True, "n_dofs": 100}, "preonly", "lu"),
        ({"symmetric": True, "definite": True, "n_dofs": 10**8}, "cg", "gamg"),
        ({"symmetric": False, "definite": True, "n_dofs": 10**8}, "gmres", "gamg"),
        ({"symmetric": True, "definite": False, "n_dofs": 10**8}, "gmres", "gamg"),
    ],
)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_choice_follows_the_law(dim, arguments, krylov, preconditioner):
    choice = choose_linear_solver("auto", dim=dim, **arguments)
    assert (choice.krylov, choice.preconditioner) == (krylov, preconditioner)
    assert f"{arguments['n_dofs']} unknowns" in choice.reason
    assert ("unsymmetric" in choice.reason) is not arguments["symmetric"]


def test_the_choice_is_stated_in_the_solution(poisson):
    solution = solve(poisson(), cells=4, measure_error=False)
    assert solution.details["linear_solver"] == "MUMPS cholesky (symmetric positive law; 81 unknowns, ≤ 400000 in 2-D)"
    asked = solve(poisson(reaction=lambda u: u.dx(0)), cells=4, measure_error=False, linear_solver="gamg")
    assert asked.details["linear_solver"] == "GAMG-gmres (unsymmetric law; as asked)"


def test_an_indefinite_law_is_solved_directly(poisson):
    """Helmholtz beyond the first eigenvalue 2π²."""
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]), reaction=lambda u: -30 * u)
    solution = solve(problem, cells=8, degree=3, measure_error=False)
    assert "MUMPS lu" in solution.details["linear_solver"]
    assert solution.error().relative_l2 < 1e-5


def follower(poisson, u_to_traction):
    """A body whose lid is pulled by a traction that depends on its displacement."""
    return poisson(
        fields={"d": vector},
        flux=lambda u: 2 * sym(grad(u)) + tr(grad(u)) * Identity(2),
        load=0.0,
        conditions=lambda u: [Dirichlet(0.0, on="bottom"), Neumann(u_to_traction(u), on="top")],
    )


def test_boundary_terms_that_make_the_system_unsymmetric(poisson):
    """The discrete equations hold: the residual is zero, whoever solves them."""
    problem = follower(poisson, lambda u: as_vector([u[1], 0.3 - 2 * u[0]]))
    solution = solve(problem, degree=1, cells=8, measure_error=False)
    assert solution.residual < 1e-10


def test_a_linear_solve_that_leaves_a_residual_is_no_success(poisson, monkeypatch):
    from sciml.fem import statics

    wrong = choose_linear_solver("direct", symmetric=True, definite=True, dim=2, n_dofs=1)
    monkeypatch.setattr(statics, "choose_linear_solver", lambda *_, **__: wrong)
    with pytest.raises(DivergenceError, match="residual"):
        solve(poisson(reaction=lambda u: 20 * u.dx(0)), cells=4, measure_error=False)


def test_boundary_terms_that_make_the_system_indefinite(poisson):
    conditions = [Robin(0.0, alpha=-3.0, on="left"), Dirichlet(0.0, on="right")]
    direct, gamg = (
        solve(poisson(conditions=conditions), cells=8, measure_error=False, linear_solver=s).evaluate([[0.25, 0.5]])
        for s in ("direct", "gamg")
    )
    assert gamg == pytest.approx(direct, rel=1e-8)


def test_failures_are_told_in_words(poisson):
    problem = body(poisson, 2)
    with pytest.raises(DivergenceError, match=r"GAMG-cg .* failed: the iteration limit was reached \(DIVERGED_") as e:
        solve(problem, cells=8, linear_solver="gamg", petsc_options={"ksp_max_it": 2}, measure_error=False)
    assert "try -o linear_solver=direct" in str(e.value)
    assert isinstance(e.value, ArithmeticError)


def test_reasons_of_petsc_in_words():
    from petsc4py import PETSc

    reasons = PETSc.KSP.ConvergedReason
    assert in_words(reasons, reasons.DIVERGED_NANORINF) == "not-a-number or infinity appeared (DIVERGED_NANORINF)"
    assert in_words(PETSc.SNES.ConvergedReason, -6) == "the line search found no decrease (DIVERGED_LINE_SEARCH)"
    assert in_words(reasons, 12345) == "reason 12345"


@pytest.mark.parametrize("kind", ["KSP", "SNES"])
def test_every_reason_of_petsc_has_words(kind):
    from petsc4py import PETSc

    reasons = getattr(PETSc, kind).ConvergedReason
    names = [name for name in dir(reasons) if name.startswith("DIVERGED")]
    assert not [name for name in names if in_words(reasons, getattr(reasons, name)).startswith("reason")]


def test_options_of_petsc_reach_it(poisson):
    options = {"pc_gamg_threshold": 0.02, "ksp_type": "fgmres"}
    solution = solve(poisson(), cells=8, linear_solver="gamg", petsc_options=options, measure_error=False)
    assert solution.residual < 1e-8
    with pytest.raises(OptionError, match="petsc_options={'ksp_type': 'nonsense'}"):
        solve(poisson(), cells=4, petsc_options={"ksp_type": "nonsense"})


def test_options_of_the_smoother_reach_it(poisson):
    """More smoothing, fewer iterations."""
    plain, smooth = (
        solve(poisson(), cells=24, linear_solver="gamg", petsc_options=options, measure_error=False)
        for options in ({}, {"mg_levels_ksp_max_it": 8})
    )
    assert smooth.details["linear_iterations"] < 0.7 * plain.details["linear_iterations"]


def test_a_refused_option_of_petsc_is_one_sentence(poisson):
    with pytest.raises(OptionError) as caught:
        solve(poisson(), cells=4, petsc_options={"ksp_type": "nonsense"})
    assert "\n" not in str(caught.value)


def test_a_misspelt_option_of_petsc_is_refused(poisson):
    with pytest.raises(OptionError, match="pc_typ"):
        solve(poisson(), cells=4, petsc_options={"pc_typ": "lu"})


def test_options_do_not_leak_into_later_solves(poisson):
    from petsc4py import PETSc

    before = dict(PETSc.Options().getAll())
    solve(poisson(), cells=4, linear_solver="gamg", petsc_options={"ksp_max_it": 77}, measure_error=False)
    assert PETSc.Options().getAll() == before

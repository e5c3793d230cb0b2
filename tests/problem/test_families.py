"""Families: members are known by seed and index alone, in this process and in any other."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ufl import grad

import sciml
from sciml import Box, Choice, Matern, Problem, load_problem, parameter, random_field, threshold
from sciml.errors import ParameterError, UnsupportedError

POINTS = np.random.default_rng(0).random((30, 2))


class Medium(Problem):
    """Two fields and two parameters."""

    domain = Box((0.0, 0.0), (1.0, 1.0))
    size = parameter(1.0, between=(0.5, 2.0))
    state = parameter("wet", choices=("wet", "dry"), draw=Choice(("wet", "dry")))
    fixed = parameter(3.0)
    conductivity = random_field(Matern(nu=2.5, length=0.3), modes=6, transform=np.exp)
    heat = random_field(Matern(nu=2.5, length=0.3), modes=6)

    def flux(self, u):
        return self.conductivity * grad(u)

    def load(self):
        return self.size * self.heat


def values_of(problem):
    return {name: problem.realisation(name)(POINTS) for name in ("conductivity", "heat")}


def assert_same(one, other):
    assert one.parameters.plain() == other.parameters.plain()
    for a, b in zip(values_of(one).values(), values_of(other).values()):
        np.testing.assert_array_equal(a, b)


def test_members_do_not_depend_on_how_many_are_sampled():
    family = Medium().family
    few, many = family.sample(2), family.sample(5)
    assert [member.member for member in many] == [(0, k) for k in range(5)]
    for a, b in zip(few, many):
        assert_same(a, b)
    assert_same(Medium().draw(4), many[4])
    assert_same(Medium().draw(4, seed=9), family.sample(5, seed=9)[4])


def test_members_differ_in_all_that_has_a_law_and_in_nothing_else():
    members = [Medium(fixed=7.0).draw(k, seed) for seed in (0, 1) for k in (0, 1)]
    assert {member.parameters["fixed"] for member in members} == {7.0}
    assert len({member.parameters["size"] for member in members}) == 4
    for name in ("conductivity", "heat"):
        assert len({values_of(member)[name].tobytes() for member in members}) == 4
    assert {member.parameters["state"] for member in Medium().family.sample(20)} == {"wet", "dry"}


def test_what_one_field_gets_does_not_depend_on_the_others():
    class Larger(Medium):
        extra = random_field(Matern(nu=0.5, length=0.1), modes=3)
        more = parameter(0.5, between=(0.0, 1.0))

    fields = zip(values_of(Larger().draw(7)).values(), values_of(Medium().draw(7)).values())
    assert all(np.array_equal(a, b) for a, b in fields)


def test_fields_of_one_law_are_independent():
    values = values_of(Medium().draw(0))
    assert not np.allclose(np.log(values["conductivity"]), values["heat"])


def test_laws_are_listed():
    laws = Medium().family.laws
    assert list(laws) == ["size", "state", "conductivity", "heat"]
    assert str(laws["size"]) == "Uniform(low=0.5, high=2.0)"
    said = "Matern(nu=2.5, length=0.3, variance=1.0), mean 0, neumann, 6 waves"
    assert [str(laws[name]) for name in ("heat", "conductivity")] == [said, f"{said}, through exp"]


def test_a_problem_that_was_not_drawn_shows_the_first_member():
    problem = Medium()
    assert problem.member is None
    assert problem.parameters["size"] == 1.0
    drawn = problem.draw(0)
    assert all(np.array_equal(a, b) for a, b in zip(values_of(problem).values(), values_of(drawn).values()))


def test_other_parameters_keep_the_member():
    member = Medium().draw(3)
    changed = member.with_parameters(size=0.7, state="dry")
    assert changed.member == (0, 3)
    assert changed.parameters["size"] == 0.7
    np.testing.assert_array_equal(values_of(changed)["heat"], values_of(member)["heat"])
    assert "member=(0, 3)" in repr(changed)


def test_members_share_what_was_derived():
    """A new member compiles nothing: its declaration is that of the others."""
    problem = load_problem("darcy/log_normal")
    assert problem.draw(1).declaration is problem.draw(2).declaration is problem.declaration


@pytest.mark.parametrize("domain", [Box((0.0, 0.0), (2.0, 1.0)), None], ids=["another box", "the same"])
def test_problems_made_in_one_call(domain):
    law = {"coefficients": {"k": random_field(Matern(nu=1.5, length=0.2), modes=5, transform=threshold(1, 2))}}
    problem = Problem(domain=domain or Medium.domain, flux=lambda u, p: p.k * grad(u), **law)
    values = problem.draw(2).realisation("k")(POINTS)
    assert set(np.unique(values)) <= {1.0, 2.0}
    np.testing.assert_array_equal(problem.draw(2).realisation("k")(POINTS), values)


def test_no_family():
    problem = Problem(domain=Box(0, 1), flux=lambda u: grad(u), parameters={"k": 2.0})
    assert problem.family.laws == {}
    for ask in (lambda: problem.draw(0), lambda: problem.family.sample(3)):
        with pytest.raises(UnsupportedError, match=r"not a family: .*draw=.*random_field"):
            ask()


@pytest.mark.parametrize(("seed", "index"), [(0, -1), (-1, 0), (0, 1.5), ("a", 0), (0, None)])
def test_members_that_are_no_whole_numbers(seed, index):
    with pytest.raises(ParameterError, match="whole numbers ≥ 0"):
        Medium().draw(index, seed)


# -- across processes ----------------------------------------------------------------------------------------


def elsewhere(key):
    """Parameters and field values of a problem that another process loads from what is written down."""
    code = f"""
import json, numpy as np, sciml
key = json.loads({json.dumps(key)!r})
problem = sciml.load_problem(key["source"], member=key["member"], **key["parameters"])
points = np.random.default_rng(0).random((30, 2))
values = [problem.realisation(name)(points).tolist() for name in key["fields"]]
print(json.dumps([problem.parameters.plain(), problem.member, values]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("where", ["catalogue", "file"])
def test_another_process_finds_the_same_member(tmp_path, where):
    name = "darcy/log_normal"
    if where == "file":
        name = str(tmp_path / "soil.py")
        (tmp_path / "soil.py").write_text(
            "from sciml import Box, Matern, Problem, parameter, random_field\n\n"
            "class Soil(Problem):\n    domain = Box((0, 0), (1, 1))\n    deviation = parameter(1.0, draw=(0.5, 2.0))\n"
            "    log_permeability = random_field(Matern(nu=1.5, length=0.2), modes=9)\n"
        )
    member = load_problem(name).draw(6, seed=2).with_parameters(deviation=1.25)
    key = {"source": member.source, "member": member.member, "parameters": member.parameters.plain()}
    parameters, found, values = elsewhere(key | {"fields": ["log_permeability"]})
    assert parameters == member.parameters.plain()
    assert found == [2, 6]
    np.testing.assert_allclose(values[0], member.realisation("log_permeability")(POINTS), rtol=0, atol=1e-12)


def test_the_numbers_of_a_member_are_what_they_were():
    """Fixed values: a change here changes every data set that was generated before."""
    member = load_problem("darcy/log_normal").draw(3, seed=1)
    found = member.realisation("log_permeability")(np.array([[0.25, 0.5], [0.5, 0.5]]))
    np.testing.assert_allclose(found, [0.5567208877308212, -0.7203519814862993], rtol=0, atol=1e-12)
    drawn = load_problem("poisson/peak").draw(3).parameters
    assert drawn["sharpness"] == pytest.approx(1943.489324361391, rel=1e-12)
    assert drawn["centre"] == pytest.approx((0.33537559349085944, -0.08890274384267594), rel=1e-12)


# -- with the reference --------------------------------------------------------------------------------------


@pytest.fixture
def reference():
    return pytest.importorskip("dolfinx_solver", reason="FEniCSx is not installed")


def test_phases_take_one_value_per_cell(reference):
    from sciml.fem.discretisation import Discretisation

    member = load_problem("darcy/two_phase").draw(1)
    function = Discretisation(member, member.domain.mesh(6), 2).coefficient("permeability")
    assert function.function_space.element.basix_element.degree == 0
    assert set(np.unique(function.x.array)) == {3.0, 12.0}


def test_the_reference_converges_on_a_smooth_member(reference):
    """Orders 3 and 2 of quadratic elements; ∫ a |∇u|² = ∫ u."""
    solution = sciml.solve(load_problem("darcy/log_normal").draw(2), "fenics", degree=2, cells=48)
    estimate, found = solution.error_estimate, solution.quantities()
    assert estimate.rate_l2 == pytest.approx(3, abs=0.15)
    assert estimate.rate_h1 == pytest.approx(2, abs=0.15)
    assert estimate.relative_l2 < 2e-4
    assert found["energy"] == pytest.approx(found["integral"] / 2, rel=1e-4)
    assert found["outflow"] == pytest.approx(1, abs=1e-2)


def test_the_reference_converges_on_a_member_of_two_phases(reference):
    """Differences from a finer mesh fall about like h."""
    member = load_problem("darcy/two_phase").draw(2)
    levels = [sciml.solve(member, "fenics", degree=1, cells=n, measure_error=False) for n in (8, 16, 32, 128)]
    errors = [level.error(levels[-1]).relative_l2 for level in levels[:-1]]
    assert errors[2] < 0.02
    assert np.log2(errors[0] / errors[2]) / 2 > 0.7


def test_members_have_different_solutions(reference):
    family = load_problem("darcy/two_phase").family
    first, second = (sciml.solve(m, "fenics", degree=1, cells=8, measure_error=False) for m in family.sample(2))
    assert first.error(second).relative_l2 > 0.01


# -- what members share ----------------------------------------------------------------------------------------


class Baked(Problem):
    """A law that reads a number before anybody has asked for the declaration."""

    domain = Box((0, 0), (1, 1))
    k = parameter(1.0, between=(1.0, 9.0))

    def flux(self, u):
        return grad(u)

    def load(self):
        return float(self.parameters["k"])


def test_a_number_that_the_law_reads_is_each_members_own():
    members = Baked().family.sample(2)
    read = [float(m.declaration.load) for m in members]
    assert read == [m.parameters["k"] for m in members]
    assert read[0] != read[1]
    assert not members[0].shares_structure(members[1])


def test_members_with_other_real_values_share_the_declaration():
    first, second = load_problem("darcy/log_normal").family.sample(2)
    assert first.shares_structure(second)
    assert first.declaration is second.declaration
    assert not first.shares_structure(load_problem("darcy/log_normal").draw(0))

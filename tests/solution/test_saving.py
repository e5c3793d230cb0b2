"""Solutions written and read again; records; atomic files."""

import json

import h5py
import numpy as np
import pytest
import torch
from ufl import as_vector, exp, sin

import sciml
from sciml import Box, Dirichlet, MeshDomain, load_solution, solve, vector
from sciml.errors import OutputError
from sciml.files import atomic_path, plain, write_json
from sciml.nn import MLP, PhysicalNetwork
from sciml.problem import MeshData
from sciml.solution import NetworkField, Seconds, Solution


def trained(problem, module):
    """A solution that a network stands for."""
    return Solution(
        problem=problem,
        field=NetworkField(problem, module),
        solver="none",
        options={"width": 8},
        status="converged",
        message="made here",
        seconds=Seconds(train=1.5),
        cpu_seconds=1.5,
        iterations=7,
        history={"loss": np.array([1.0, 0.5])},
    )


def points_of(problem, n=50):
    return problem.domain.sample(n, np.random.default_rng(0))


def assert_same(one, other, tolerance=1e-14):
    points = points_of(one.problem)
    for a, b in ((one.evaluate(points), other.evaluate(points)), (one.gradient(points), other.gradient(points))):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(a).max()))


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize(("dim", "cell_type"), [(1, "simplex"), (2, "simplex"), (2, "tensor"), (3, "simplex")])
def test_finite_element_solutions(poisson, tmp_path, dim, cell_type, degree):
    problem = poisson(dim, exact=lambda x: sin(3 * x[0]) * exp(x[dim - 1]))
    solution = solve(problem, degree=degree, cells=2, cell_type=cell_type, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    assert_same(solution, read)
    assert read.field.degree == degree
    assert read.error().relative_l2 == pytest.approx(solution.error().relative_l2, rel=1e-10)


def test_vectors_on_curved_cells(poisson, tmp_path, bent_box):
    problem = poisson(domain=bent_box(2), fields={"d": vector}, exact=lambda x: as_vector([sin(x[0]), x[0] * x[1]]))
    solution = solve(problem, degree=2)
    read = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    assert_same(solution, read, 1e-13)
    assert read.error_estimate == solution.error_estimate


def test_groups_of_the_mesh_are_kept(poisson, tmp_path, two_materials):
    problem = poisson(domain=two_materials(), load=1.0, conditions=[Dirichlet(0.0, on="x0-")])
    solution = solve(problem, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    for kind in ("facet_groups", "region_groups"):
        own, other = getattr(solution.field.mesh, kind), getattr(read.field.mesh, kind)
        assert own.keys() == other.keys()
        assert all(np.array_equal(own[name], other[name]) for name in own)


def test_a_mesh_with_a_slit(poisson, tmp_path):
    """Two squares with nodes of their own along the common side: 0 on the left one, 1 on the right one."""
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [1, 0], [2, 0], [2, 1], [1, 1]], dtype=float)
    groups = {"left": [[0, 3]], "right": [[5, 6]]}
    domain = MeshDomain(MeshData(points, [[0, 1, 2, 3], [4, 5, 6, 7]], "quadrilateral", 1, groups))
    problem = poisson(domain=domain, load=0.0, conditions=[Dirichlet(0.0, on="left"), Dirichlet(1.0, on="right")])
    solution = solve(problem, degree=2, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    np.testing.assert_allclose(solution.evaluate([[0.9, 0.5], [1.1, 0.5]]), [0, 1], atol=1e-12)
    np.testing.assert_allclose(read.evaluate([[0.9, 0.5], [1.1, 0.5]]), [0, 1], atol=1e-12)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_networks(poisson, tmp_path, hard, dtype):
    problem = poisson(fields={"d": vector}, exact=lambda x: as_vector([sin(x[0]), x[0] * x[1]]))
    network = MLP([[2, 8, 1], [2, 6, 1]], "sin", generator=torch.Generator().manual_seed(0), dtype=dtype)
    solution = trained(problem, PhysicalNetwork(network, problem, unknown_scale=3.0, hard=hard))
    read = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    points = points_of(problem)
    np.testing.assert_array_equal(read.evaluate(points), solution.evaluate(points))
    np.testing.assert_array_equal(read.gradient(points), solution.gradient(points))
    assert (read.status, read.iterations, read.options) == ("converged", 7, {"width": 8})
    assert read.seconds == Seconds(train=1.5)
    np.testing.assert_array_equal(read.history["loss"], [1.0, 0.5])


def test_a_network_of_the_users_own(poisson, tmp_path):
    problem = poisson()
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    path = trained(problem, module).save(tmp_path / "solution.h5")
    with pytest.raises(OutputError, match="pass it as `module=`"):
        load_solution(path, problem)
    other = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    read = load_solution(path, problem, module=other)
    points = points_of(problem)
    np.testing.assert_array_equal(read.evaluate(points), NetworkField(problem, module).evaluate(points))


def test_a_catalogue_problem_is_found_again(tmp_path):
    problem = sciml.load_problem("poisson/peak", sharpness=20.0, centre=(0.25, -0.5))
    solution = solve(problem, cells=4, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"))
    assert read.problem.parameters.plain() == problem.parameters.plain()
    assert read.problem.name == "poisson/peak"
    assert_same(solution, read)
    assert read.record() == solution.record()


def test_a_member_of_a_family_is_found_again(tmp_path):
    problem = sciml.load_problem("poisson/peak").draw(3)
    solution = solve(problem, cells=4, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"))
    assert read.problem.parameters.plain() == problem.parameters.plain()
    assert_same(solution, read)


def test_the_random_field_of_a_member_is_found_again(tmp_path):
    problem = sciml.load_problem("darcy/two_phase").draw(3, seed=5)
    solution = solve(problem, cells=4, degree=1, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"))
    assert read.record() == solution.record()
    assert read.problem.member == (5, 3)
    points = points_of(problem)
    fields = (p.realisation("permeability")(points) for p in (problem, read.problem))
    np.testing.assert_array_equal(*fields)
    assert read.quantities() == solution.quantities()


def test_a_file_from_before_there_were_members_is_read(tmp_path):
    path = solve(sciml.load_problem("poisson/peak"), cells=4, measure_error=False).save(tmp_path / "solution.h5")
    with h5py.File(path, "r+") as file:
        record = json.loads(file.attrs["record"])
        del record["member"]
        file.attrs["record"] = json.dumps(record)
    assert load_solution(path).problem.member is None


def test_a_problem_in_a_file_is_found_again(tmp_path):
    (tmp_path / "plate.py").write_text(
        "from ufl import grad\nfrom sciml import Box, Dirichlet, Problem, parameter\n\n"
        "class Plate(Problem):\n    domain = Box((0, 0), (1, 1))\n    power = parameter(2.0)\n"
        "    conditions = (Dirichlet(0.0, on='boundary'),)\n\n    def flux(self, u):\n        return grad(u)\n\n"
        "    def load(self):\n        return self.power\n"
    )
    solution = solve(sciml.load_problem(str(tmp_path / "plate.py"), power=5.0), cells=4, measure_error=False)
    read = load_solution(solution.save(tmp_path / "solution.h5"))
    assert read.problem.parameters["power"] == 5.0
    assert_same(solution, read)


def test_a_problem_made_in_memory_must_be_handed_in(poisson, tmp_path):
    path = solve(poisson(), cells=2, measure_error=False).save(tmp_path / "solution.h5")
    with pytest.raises(OutputError, match="made in memory; pass it as `problem=`"):
        load_solution(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dim": 1}, "with dimension 2, the problem given has 1"),
        ({"fields": {"u": vector}, "load": (0.0, 0.0)}, r"with shape \[\], the problem given has \[2\]"),
        ({"parameters": {"k": 3.0}}, r"with parameters {'k': 2\.0}, the problem given has {'k': 3\.0}"),
        ({"parameters": {}}, r"with parameters {'k': 2\.0}, the problem given has {}"),
    ],
)
def test_the_solution_of_another_problem_is_refused(poisson, tmp_path, other, message):
    own = {"parameters": {"k": 2.0}}
    path = solve(poisson(**own), cells=2, measure_error=False).save(tmp_path / "solution.h5")
    with pytest.raises(OutputError, match=message):
        load_solution(path, poisson(**(own | other)))


@pytest.mark.parametrize("content", [None, b"", b"no HDF5", "h5"])
def test_files_that_are_no_solution_are_refused(poisson, tmp_path, content):
    path = tmp_path / "solution.h5"
    if content == "h5":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(OutputError, match=r"solution\.h5"):
        load_solution(path, poisson())


# -- the record ------------------------------------------------------------------------------------------


def test_the_record_is_json_without_nan(poisson, tmp_path):
    problem = poisson(parameters={"k": 2.0, "c": (1.0, 2.0)}, exact=lambda x, p: p.k * x[0] + p.c[1] * x[1])
    solution = solve(problem, cells=4, linear_solver="gamg", petsc_options={"ksp_rtol": 1e-9})
    text = solution.write_record(tmp_path / "record.json").read_text()

    def refuse(name):
        raise AssertionError(name)

    record = json.loads(text, parse_constant=refuse)
    assert record == json.loads(json.dumps(solution.record()))
    assert record["parameters"] == {"k": 2.0, "c": [1.0, 2.0]}
    assert record["solver"] == "fenics"
    assert record["status"] == "converged"
    assert record["options"]["degree"] == 2
    assert record["options"]["petsc_options"] == {"ksp_rtol": 1e-9}
    assert set(record["seconds"]) == {"setup", "train", "solve", "post"}
    assert record["error_estimate"]["relative_l2"] < 1e-8
    assert {"numpy", "fenics-ufl"} <= set(record["versions"])
    assert record["problem"] == "in memory"
    assert record["source"] is None


def test_plain_values():
    value = {1: (np.float64(2.5), np.array([1, 2])), "nan": float("nan"), "inf": np.float32("inf"), "other": Box(0, 1)}
    assert plain(value) == {"1": [2.5, [1, 2]], "nan": None, "inf": None, "other": "Box([0.0], [1.0])"}
    assert plain(np.array([1.0, np.nan])) == [1.0, None]
    assert plain(True) is True


def test_results_that_are_not_finite_do_not_spoil_the_record(poisson, tmp_path):
    solution = trained(poisson(), torch.nn.Linear(2, 1).double())
    solution.residual, solution.details = float("nan"), {"loss": float("inf")}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "record.json", {"residual": float("nan")})
    assert solution.record()["details"] == {"loss": None}


def test_a_residual_that_is_not_a_number_is_null_in_the_record(poisson, tmp_path):
    solution = trained(poisson(), torch.nn.Linear(2, 1).double())
    solution.residual = float("nan")
    assert json.loads(solution.write_record(tmp_path / "record.json").read_text())["residual"] is None


# -- files -----------------------------------------------------------------------------------------------


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_good_write_replaces_the_old_file(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("method", ["save", "write_record", "write_vtu", "write_xdmf"])
def test_a_folder_that_does_not_exist(poisson, tmp_path, method):
    solution = solve(poisson(), cells=2, measure_error=False)
    suffix = {"save": "h5", "write_record": "json", "write_vtu": "vtu", "write_xdmf": "xdmf"}[method]
    with pytest.raises(OutputError, match="cannot be written"):
        getattr(solution, method)(tmp_path / "missing" / f"solution.{suffix}")


def test_a_failing_save_leaves_the_old_solution(poisson, tmp_path, monkeypatch):
    problem = poisson()
    solution = solve(problem, cells=2, measure_error=False)
    path = solution.save(tmp_path / "solution.h5")

    def fail(group):
        group.attrs["half"] = 1
        raise RuntimeError

    monkeypatch.setattr(solution.field, "store", fail)
    with pytest.raises(RuntimeError):
        solution.save(path)
    monkeypatch.undo()
    assert_same(solution, load_solution(path, problem))
    assert list(tmp_path.iterdir()) == [path]


def test_points_of_the_wrong_shape_are_refused(poisson):
    solution = solve(poisson(), cells=2, measure_error=False)
    for points in ([0.5, 0.5], [[0.5]], [[0.1, 0.2, 0.3]]):
        with pytest.raises(ValueError, match=r"needed is \(n, 2\)"):
            solution.evaluate(points)
    assert solution.evaluate([[0.5, 0.5]]).shape == (1,)
    assert solution([[0.5, 0.5]]) == solution.evaluate([[0.5, 0.5]])

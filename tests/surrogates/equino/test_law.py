"""A trained cell as a law, in its folder and in a solid; and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
import torch

from sciml import load_problem, solve
from sciml.datasets import generate_cell, open_cell_data, open_dataset
from sciml.datasets.cells import draw_strains
from sciml.errors import DeclarationError, OptionError, OutputError, UnknownNameError, UnsupportedError
from sciml.registry import load_law, load_solver
from sciml.surrogates import law_in, solver_in
from sciml.surrogates.equino import CellFit, load_cell_run, train_cell


def strains(data, count=6):
    return draw_strains(data.box, count, (8,))


def test_tangent_is_the_derivative_of_the_stress(data, run):
    at, step = strains(data), 1e-6
    made = run.law.evaluate(at)
    for axis in range(3):
        away = step * np.eye(3)[axis]
        slope = (run.law.evaluate(at + away).stress - run.law.evaluate(at - away).stress) / (2 * step)
        np.testing.assert_allclose(made.tangent[:, :, axis], slope, rtol=1e-6, atol=1e-4)


def test_batches_change_nothing(data, run, monkeypatch):
    at = strains(data, 7)
    whole = run.law.evaluate(at)
    monkeypatch.setattr("sciml.surrogates.equino.law._ROWS", 3)
    np.testing.assert_allclose(run.law.evaluate(at).tangent, whole.tangent, rtol=1e-12)
    assert run.law.evaluate(at[:0]).stress.shape == (0, 3)


def test_fields_have_the_stress_of_the_law(data, run):
    at = strains(data)
    fields, stress = run.law.fields(at), run.law.evaluate(at).stress
    means = np.stack([run.law.model.mean(own) for own in fields.stress])
    np.testing.assert_allclose(means, stress, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(run.law.stress_torch(torch.tensor(at)).detach().numpy(), stress, rtol=1e-12)


def test_trust_goes_with_the_error(data, run):
    """Where strains leave the box, the indicator says more than inside, and so does the error."""
    inside, model = 0.5 * strains(data), run.law.model
    beyond = inside * (0.16 / np.abs(inside).max(axis=1))[:, None]
    trust, far = run.law.trust(inside), run.law.trust(beyond)
    for name in ("mismatch", "residual"):
        assert np.median(far[name]) > 1.5 * np.median(trust[name])
    apart = [np.abs(run.law.evaluate(at).stress - model.solve(at).stress).max() for at in (inside, beyond)]
    assert apart[1] > 1.5 * apart[0]


def test_outside_is_beyond_the_training_box(run):
    at = np.array([[0.04, -0.04, 0.04], [0.041, 0, 0], [0, -0.0401, 0], [0, 0, 0.05], [0, 0, 0]])
    assert run.law.outside(at).tolist() == [False, True, True, True, False]


def test_read_again_it_is_the_same(data, folder, tmp_path):
    run = load_cell_run(folder)
    run.save(tmp_path)
    one, other = (law_in(place).evaluate(strains(data)) for place in (folder, tmp_path))
    assert np.array_equal(one.tangent, other.tangent)
    assert load_law(str(folder)).cell == load_problem("rve/disc").model().digest


def test_cells_in_a_solid_are_written_by_finite_elements_and_as_learned(folder, tmp_path):
    problem = load_problem("solid/cook_two_scale")
    solution = solve(problem, "fe2", micro=str(folder), outside="fe", micro_at="24,30", folder=tmp_path)
    ((number, *_),) = solution.details["micro_at"]
    full, learned = (meshio.read(tmp_path / f"micro_{number}{kind}.vtu") for kind in ("", "_learned"))
    for name in ("strain", "stress"):
        apart = full.cell_data[name][0] - learned.cell_data[name][0]
        assert 0 < np.linalg.norm(apart) < 0.2 * np.linalg.norm(full.cell_data[name][0])


def test_a_solid_takes_it(folder):
    found = solve(load_problem("solid/cook_two_scale"), "fe2", micro=str(folder))
    assert found.status == "converged"
    assert found.details["evaluations"] > 0


def test_a_law_is_no_solver(folder):
    for load in (solver_in, lambda path: load_solver(str(path))):
        with pytest.raises(DeclarationError, match="is a law and no solver; give it to the solver fe2 as micro="):
            load(folder)


def test_another_cell_is_refused(own, tmp_path, data):
    """By its digest, not its name: in a solid, with other data, and after its file was changed."""
    path = own()
    generate_cell(load_problem(path), tmp_path / "own.h5", count=4)
    train_cell(path, tmp_path / "own.h5", recipe="linear", modes=3, folder=tmp_path / "run")
    with pytest.raises(OptionError, match="was trained on another cell"):
        solve(load_problem("solid/cook_two_scale"), "fe2", micro=str(tmp_path / "run"))
    with pytest.raises(OptionError, match=r"is of 'rve/disc', not of"):
        CellFit(path, data.path)
    own(matrix="Matrix()")
    for again in (
        lambda: CellFit(path, tmp_path / "own.h5"),
        lambda: law_in(tmp_path / "run").fields(np.zeros((1, 3))),
    ):
        with pytest.raises(OutputError, match="is another cell by now"):
            again()


def test_a_checkpoint_of_another_cell_is_refused(own, tmp_path, data):
    path, options = own(), {"modes": 3, "warm_steps": 2, "physics_steps": 0}
    generate_cell(load_problem(path), tmp_path / "own.h5", count=4)
    CellFit(path, tmp_path / "own.h5", options).run(folder=tmp_path)
    with pytest.raises(OptionError, match="belongs to another training: it is of problem|declared differently"):
        CellFit("rve/disc", data.path, options).run(folder=tmp_path, resume=True)


@pytest.mark.parametrize("draw", ["(0.0, 0.0)", "None"])
def test_a_training_box_without_size_is_refused(own, tmp_path, draw):
    with pytest.raises(OptionError, match="training box of .* has no size"):
        generate_cell(load_problem(own(draw=draw)), tmp_path / "own.h5")


def test_a_cell_with_a_past_is_refused(own, tmp_path):
    path = own()
    text = Path(path).read_text(encoding="utf-8").replace("Cell, LinearElastic, Matrix", "Cell, J2, LinearElastic")
    plastic = "J2(bulk_modulus=4e3, shear_modulus=4e2, yield_stress=10.0, hardening=10.0)"
    text = text.replace("LinearElastic(bulk_modulus=4e3, shear_modulus=4e2)", plastic)
    Path(path).write_text(text, encoding="utf-8")
    with pytest.raises(UnsupportedError, match="phase 'matrix' has a past"):
        generate_cell(load_problem(path), tmp_path / "own.h5")


def test_bad_options_are_refused(data):
    with pytest.raises(UnknownNameError, match="did you mean 'modes'"):
        CellFit("rve/disc", data.path, {"mods": 3})
    with pytest.raises(OptionError, match=r"Option recipe='best': .*energy_weighted"):
        CellFit("rve/disc", data.path, {"recipe": "best"})
    with pytest.raises(OptionError, match="31 snapshots were asked for; .* has 30"):
        CellFit("rve/disc", data.path, {"samples": 31})
    with pytest.raises(UnsupportedError, match="is no periodic cell"):
        CellFit("poisson/sine", data.path)


def test_files_of_another_kind_are_refused(data, folder, tmp_path):
    with pytest.raises(OutputError, match="holds the data of a cell, not fields"):
        open_dataset(data.path)
    with pytest.raises(OutputError, match="holds no trained network"):
        law_in(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(OutputError, match="holds a damaged training"):
        law_in(tmp_path / "copy")


def test_data_are_made_once_and_checked(data, tmp_path):
    again = generate_cell(load_problem("rve/disc"), data.path, count=30)
    assert again.checksum == data.checksum
    assert again.cpu_seconds == data.cpu_seconds
    with pytest.raises(OutputError, match="holds the data of another request"):
        generate_cell(load_problem("rve/disc"), data.path, count=31)
    copy = tmp_path / "copy.h5"
    shutil.copy(data.path, copy)
    with h5py.File(copy, "r+") as file:
        file["sciml/stress"][0, 0] += 1e-9
    with pytest.raises(OutputError, match="checksum does not fit"):
        open_cell_data(copy)

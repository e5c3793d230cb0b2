"""A trained network is a solver of its family, and refuses the rest."""

import numpy as np
import pytest

from sciml import compare, load_problem, solve
from sciml.datasets import import_arrays, open_dataset
from sciml.errors import DivergenceError, OptionError, OutputError, UnsupportedError
from sciml.surrogates.operators.evaluation import evaluate
from sciml.surrogates.operators.fitting import train_operator
from sciml.surrogates.operators.run import load_run


@pytest.fixture(scope="module")
def folder(darcy, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    train_operator(
        "darcy/threshold",
        darcy,
        "fno",
        folder=path,
        epochs=15,
        learning_rate=5e-3,
        batch_size=6,
        width=12,
        modes=4,
        layers=2,
    )
    return path


def test_a_run_that_is_read_again_says_the_same(folder, darcy):
    first, second = evaluate(load_run(folder), open_dataset(darcy)), evaluate(load_run(folder), open_dataset(darcy))
    assert np.array_equal(first.predicted, second.predicted)
    assert first.figures["relative_l2"] == pytest.approx(np.mean(first.errors))
    assert first.figures["relative_l2"] < first.figures["mean_field"]


def test_the_solver_gives_at_the_nodes_what_the_network_says(folder, darcy):
    dataset = open_dataset(darcy)
    samples = dataset.samples("test")
    seed, index = samples.members[2]
    member = load_problem("darcy/threshold").draw(index, seed)
    solution = solve(member, str(folder), throw=False)
    said = evaluate(load_run(folder), dataset).predicted[2, ..., 0]
    nodes = samples.places.reshape(-1, 2).astype(float)
    np.testing.assert_allclose(solution.evaluate(nodes).reshape(9, 9), said, rtol=1e-4, atol=1e-6)
    assert solution.trainable_parameters == load_run(folder)["trainable_parameters"]


def test_a_comparison_holds_it_against_the_reference(folder):
    rows = compare("darcy/threshold", ("fenics", {"cells": 32, "degree": 1}), str(folder)).rows
    own = next(row for row in rows if row.solver == str(folder))
    assert own.truth == "fenics"
    assert 0 < own.relative_l2 < 0.3


def test_any_resolution_is_possible_for_a_fourier_operator(folder):
    coarse = solve("darcy/threshold", str(folder))
    fine = solve("darcy/threshold", str(folder), resolution=17)
    assert fine.field.grid == (17, 17)
    assert fine.error(coarse.field).relative_l2 < 0.3


def test_inputs_that_mean_something_else_are_outside_of_the_range(darcy, tmp_path):
    samples = open_dataset(darcy).samples("train")
    np.savez(tmp_path / "phases.npz", phase=samples.inputs[..., 0] > 5, u=samples.outputs[..., 0])
    import_arrays(tmp_path / "phases.npz", tmp_path / "d.h5", problem="darcy/threshold", inputs="phase", outputs="u")
    train_operator("darcy/threshold", tmp_path / "d.h5", "mean", folder=tmp_path)
    with pytest.raises(DivergenceError, match="outside_range: permeability"):
        solve("darcy/threshold", str(tmp_path))
    assert solve("darcy/threshold", str(tmp_path), throw=False).status == "outside_range"


def test_another_problem_is_refused(folder):
    with pytest.raises(UnsupportedError, match="darcy/two_phase"):
        solve("poisson/sine", str(folder))


def test_another_resolution_is_refused_where_it_is_not_learned(darcy, tmp_path):
    train_operator("darcy/threshold", darcy, "lsm", folder=tmp_path, epochs=1, width=8, levels=2, patch=4)
    with pytest.raises(OptionError, match="takes no other grid than that of 9"):
        solve("darcy/threshold", str(tmp_path), resolution=17)


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(OutputError, match="holds no trained network"):
        solve("darcy/threshold", str(tmp_path))


def test_a_damaged_network_is_refused(folder, tmp_path):
    for name in ("manifest.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(OutputError, match="damaged"):
        load_run(tmp_path)

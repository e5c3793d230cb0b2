"""A training says what limits it, and what it says is kept in files."""

from __future__ import annotations

import numpy as np
import pytest
import small

from sciml import load_problem
from sciml.solution import ExactField
from sciml.solution.diagnosis import Diagnosis, DiagnosisArrays

FIXED = {"sampler": "quasi_random", "every": 0, "points": 400, "budget": 400}
SHARP = {"sharpness": 100}


@pytest.mark.parametrize(
    ("problem", "options", "expected"),
    [
        ({}, {"sampler": "uniform", "points": 20, "budget": 20, "every": 0}, ["Between the points", "budget=40"]),
        ({}, FIXED | {"steps": 8}, ["still falling", "more steps"]),
        ({}, FIXED | {"steps": 1}, ["too few to see", "more steps"]),
        ({}, FIXED | {"width": 2, "depth": 1, "features": "plain", "steps": 200}, ["directions are in use", "width"]),
        ({}, FIXED | {"optimizer": "adam", "steps": 50}, ["gauss_newton", "learning_rate"]),
        (
            SHARP,
            FIXED | {"width": 6, "features": "plain", "steps": 60},
            ["One per cent", "near (0.5", "sampler=aas follows it"],
        ),
    ],
    ids=["few points", "few steps", "one step", "small network", "slow optimiser", "concentrated"],
)
def test_verdicts(problem, options, expected):
    solution = small.trained(load_problem("poisson/peak", **({"sharpness": 5} | problem)), **options)
    diagnosis = solution.details["diagnosis"]
    assert all(any(part in sentence for sentence in diagnosis["advice"]) for part in expected), diagnosis["advice"]
    assert diagnosis["verdict"].startswith(solution.status.replace("_", " ").capitalize())
    assert diagnosis["verdict"].endswith(diagnosis["advice"][0])


def test_conditions_that_hold_the_loss():
    """A small weight leaves the data of the L behind its law."""
    solution = small.trained(load_problem("poisson/l_shape"), boundary_weight=1)
    diagnosis = solution.details["diagnosis"]
    assert "Dirichlet on boundary" in diagnosis["advice"][0]
    assert "boundary_points" in diagnosis["advice"][0]
    equation, condition = diagnosis["terms"]
    assert condition["loss"] > equation["loss"]
    assert equation["loss"] + condition["loss"] == pytest.approx(solution.residual, rel=1e-10)


def test_terms_and_rank():
    """Shares add up, and the losses of terms are those of the training."""
    solution = small.trained(load_problem("heat/sine"), sampler="rad", steps=10)
    diagnosis = solution.details["diagnosis"]
    assert [term["name"].split()[0] for term in diagnosis["terms"]] == ["equation", "Dirichlet", "state"]
    assert sum(term["share"] for term in diagnosis["terms"]) == pytest.approx(1)
    assert {term["name"]: term["loss"] for term in diagnosis["terms"]} == solution.details["loss_terms"]
    rank = diagnosis["conditioning"]
    assert 0 < rank["effective_rank"] < rank["rank"] <= rank["unknowns"] == solution.trainable_parameters
    assert rank["eigenvalue_span"] > 1


def test_files(tmp_path):
    solution = small.trained(folder=tmp_path, steps=12)
    diagnosis, arrays = Diagnosis.read(tmp_path), DiagnosisArrays.read(tmp_path)
    assert diagnosis.as_dict() == solution.details["diagnosis"]
    assert arrays.points.shape == (solution.details["points"], 2)
    assert arrays.residual.shape == arrays.density.shape == (81**2,)
    assert np.mean(arrays.density) == pytest.approx(1, abs=0.1)
    assert arrays.residual.min() >= 0
    # |r| = |Δ(u − exact)| in multiples of its typical size, by differences of values.
    problem, step = small.peak(), 1e-3
    here = np.abs(arrays.residual_points).max(axis=1) < 0.9
    points, exact = arrays.residual_points[here][::200], ExactField(problem)
    stencil = step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
    errors = [solution.evaluate(points + shift) - exact.evaluate(points + shift) for shift in stencil]
    laplacian = (sum(errors[:4]) - 4 * errors[4]) / step**2
    size = solution.details["scales"]["residuals"][0]
    assert arrays.residual[here][::200] == pytest.approx(np.abs(laplacian) / size, rel=1e-3, abs=1e-4)

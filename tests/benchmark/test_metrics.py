"""Metrics against values computed by hand."""

from math import pi, sqrt

import numpy as np
import pytest
import torch
from ufl import as_vector

from sciml import Box, Problem, vector
from sciml.benchmark.metrics import band_errors, compare_quantities, in_float64, measure, rollout
from sciml.errors import UndefinedFieldError
from sciml.solution import NetworkField, measure_errors


def law(dim=2, **changes):
    """u = load on a box with sides 1, 2, 3."""
    return Problem(**({"domain": Box((0,) * dim, range(1, dim + 1)), "reaction": lambda u: u, "load": 1.0} | changes))


def in_time(dim=1, time=(1.0, 3.0)):
    """∂u/∂t = 1 on a box."""
    return law(dim, time=time, damping=1.0, reaction=lambda u: 0 * u, initial=0.0)


def measured(field, truth, instants=4):
    return measure(field, truth, instants=instants, quantities={}, true_quantities={})


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(("waves", "band"), [(3, "low"), (8, "low"), (9, "middle"), (24, "middle"), (25, "high")])
def test_a_cosine_mode_lies_in_one_band(formula, dim, waves, band):
    """u = 2 and e = a cos(k π x_last/L): the relative error is a/√2/2, all of it in the band of k."""
    problem = law(dim)
    truth = formula(problem, lambda x: 2.0)
    own = formula(problem, lambda x: 2.0 + 0.1 * np.cos(waves * pi * x[:, -1] / dim))
    parts, reason = band_errors(own, truth, 1)
    assert reason == ""
    assert parts.pop(band) == pytest.approx(0.1 / sqrt(2) / 2, rel=1e-12)
    assert all(part < 1e-14 for part in parts.values())


def test_the_bands_are_those_of_the_largest_wave_number(formula):
    """cos(3πx) cos(30πy/2) is of the high band, and the parts of a sum add up as squares."""
    problem = law(2)
    truth = formula(problem, lambda x: 1.0)

    def modes(x):
        high = np.cos(3 * pi * x[:, 0]) * np.cos(30 * pi * x[:, 1] / 2)
        return 1 + 0.2 * high + 0.3 * np.cos(10 * pi * x[:, 0]) + 0.5

    parts, _ = band_errors(formula(problem, modes), truth, 1)
    assert parts == pytest.approx({"low": 0.5, "middle": 0.3 / sqrt(2), "high": 0.1}, rel=1e-12)
    errors = measured(formula(problem, modes), truth)["errors"]
    assert errors["relative_l2"] == pytest.approx(sqrt(0.25 + 0.045 + 0.01), rel=1e-3)


def test_bands_of_several_components_and_of_a_truth_of_zero(formula):
    problem = law(1, fields={"d": vector}, load=as_vector([1.0]))
    parts, _ = band_errors(formula(problem, lambda x: 3.0), formula(problem, lambda x: 0.0), 1)
    assert parts["middle"] == parts["high"] == 0
    assert 0 < parts["low"] < np.inf


def test_no_bands_off_boxes(formula, bent_box):
    problem = law(2, domain=bent_box(2))
    parts, reason = band_errors(formula(problem, lambda x: 1.0), formula(problem, lambda x: 2.0), 1)
    assert (parts, reason) == (None, "frequencies are told apart on boxes only")
    problem = law(5)
    parts, reason = band_errors(formula(problem, lambda x: 1.0), formula(problem, lambda x: 2.0), 1)
    assert (parts, reason) == (None, "frequencies are told apart in up to three dimensions")


def test_errors_of_a_known_difference(formula):
    """u = 4 + cos 2πx and e = 0.01 sin πx: ‖e‖ = 0.01/√2, ‖u‖ = √16.5, max |u| = 5."""
    problem = law(1)
    truth = formula(problem, lambda x: 4 + np.cos(2 * pi * x[:, 0]))
    own = formula(problem, lambda x: 4 + np.cos(2 * pi * x[:, 0]) + 0.01 * np.sin(pi * x[:, 0]))
    errors = measured(own, truth)["errors"]
    assert errors["relative_l2"] == pytest.approx(0.01 / sqrt(2) / sqrt(16.5), rel=1e-9)
    slope = 0.01 * pi / sqrt(2), 2 * pi / sqrt(2)
    assert errors["relative_h1"] == pytest.approx(sqrt((5e-5 + slope[0] ** 2) / (16.5 + slope[1] ** 2)), rel=1e-5)
    assert errors["max_error"] == pytest.approx(0.01, rel=1e-6)
    assert errors["relative_max"] == pytest.approx(0.002, rel=1e-6)
    assert errors["n_points"] == 65_536


def test_several_fields_are_measured_each(formula):
    from sciml import scalar

    problem = law(
        1,
        fields={"first": scalar, "second": scalar},
        reaction=lambda first, second: {"first": first, "second": second},
        load=lambda: {"first": 1.0, "second": 1.0},
    )
    found = measured(formula(problem, lambda x: (1.1, 30.0)), formula(problem, lambda x: (1.0, 40.0)))
    assert found["fields"]["first"]["relative_l2"] == pytest.approx(0.1)
    assert found["fields"]["second"]["relative_l2"] == found["errors"]["relative_l2"] == pytest.approx(0.25)
    assert found["errors"]["relative_max"] == pytest.approx(0.25)
    assert found["bands"]["low"] == pytest.approx(0.25)


@pytest.mark.parametrize("mesh", [False, True])
def test_all_candidates_are_measured_at_the_same_points(formula, bent_box, mesh):
    """Points do not follow what is measured, and a coarse mesh is divided until there are enough."""
    problem = law(2, **({"domain": bent_box(2, "simplex", cells=1)} if mesh else {}))
    seen = []

    class Watched(type(formula(problem, lambda x: 1.0))):
        mesh = problem.domain.mesh()

        def rule(self, n_target=0):
            raise AssertionError("a candidate's rule was asked for")

        def evaluate(self, points):
            seen.append(points)
            return super().evaluate(points)

    truth = formula(problem, lambda x: x[:, 0])
    for value in (1.0, 2.0):
        errors = measure_errors(Watched(problem, lambda x, v=value: v), truth, same_points=True)
    assert len(seen) == 10
    assert all(np.array_equal(first, second) for first, second in zip(seen[:5], seen[5:], strict=True))
    assert 30_000 < errors.n_points < 300_000


def test_error_at_each_instant(formula):
    """u = t and e = 0.1 (t − 1)²: relative to the truth of the same instant."""
    problem = in_time()
    truth = formula(problem, lambda x, t: t)
    own = formula(problem, lambda x, t: t + 0.1 * (t - 1) ** 2)
    curve = rollout(own, truth, 4)
    assert curve["t"] == [1.5, 2.0, 2.5, 3.0]
    assert curve["relative_l2"] == pytest.approx([0.1 * (t - 1) ** 2 / t for t in curve["t"]])
    assert rollout(formula(law(1), lambda x: 1.0), formula(law(1), lambda x: 1.0), 4) is None


def test_in_time_the_instants_do_not_follow_the_candidate(formula):
    """∫ e² over 17 equal instants by the trapezoidal rule, however few a candidate keeps."""
    problem = in_time()
    own, truth = formula(problem, lambda x, t: t + 0.1 * (t - 1) ** 2), formula(problem, lambda x, t: t)
    times = np.linspace(1, 3, 17)
    squares = np.trapezoid(0.01 * (times - 1) ** 4, times) / np.trapezoid(times**2, times)
    found = measured(own, truth)
    assert found["errors"]["relative_l2"] == pytest.approx(sqrt(squares), rel=1e-12)
    assert found["bands"]["low"] == pytest.approx(
        sqrt(sum(0.01 * (t - 1) ** 4 for t in (1.5, 2, 2.5, 3)) / sum(t * t for t in (1.5, 2, 2.5, 3))), rel=1e-12
    )


def test_quantities_beside_those_of_the_truth():
    found = compare_quantities({"heat": 1.5, "flow": 0.25}, {"heat": 2.0, "flow": 0.0})
    assert found["heat"] == {"value": 1.5, "truth": 2.0, "absolute_error": 0.5, "relative_error": 0.25}
    assert found["flow"]["relative_error"] is None
    assert found["flow"]["absolute_error"] == 0.25


def test_networks_are_evaluated_in_float64(poisson):
    """The function of float32 weights, without the rounding of float32 arithmetic."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    field = NetworkField(poisson(), module)
    points = np.random.default_rng(0).random((100, 2))
    sharp = in_float64(field).evaluate(points)
    first, _, last = module
    weights = [w.detach().numpy().astype(float) for w in (first.weight, first.bias, last.weight, last.bias)]
    by_hand = np.tanh(points @ weights[0].T + weights[1]) @ weights[2].T + weights[3]
    np.testing.assert_allclose(sharp, by_hand[:, 0], rtol=0, atol=1e-15)
    assert np.abs(field.evaluate(points) - by_hand[:, 0]).max() > 1e-9
    assert next(module.parameters()).dtype == torch.float32


def test_values_that_are_not_finite_are_refused(formula):
    problem = law(2)
    broken = formula(problem, lambda x: np.where(x[:, 0] < 0.5, np.nan, 1.0))
    with pytest.raises(UndefinedFieldError, match="not defined at 32768 of the 65536 points"):
        measured(broken, formula(problem, lambda x: 1.0))

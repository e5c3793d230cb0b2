"""The adversary: against the best density on a grid, from a cold start, on other domains, and its state."""

import numpy as np
import pytest

from sciml import Box, MeshDomain
from sciml.benchmark.measurements._obstacle import best_density
from sciml.benchmark.measurements.adversary import _cells as cells
from sciml.benchmark.measurements.adversary import _objective as objective
from sciml.errors import DomainError, OptionError
from sciml.problem import box_mesh
from sciml.registry import load_problem
from sciml.solvers.pinn.adversary import Adversary, AdversaryOptions
from sciml.solvers.pinn.finds import Finds

SQUARE = Box((-1.0, -1.0), (1.0, 1.0))
SMALL = {"pool": 900, "batch": 100, "couplings": 4, "learning_rate": 2e-2}


def bump(sharpness, *centres):
    """r² with a bump of the width 1/√sharpness at each centre."""
    return lambda x: sum(np.exp(-sharpness * ((x[:, :2] - c) ** 2).sum(axis=1)) for c in centres)


def improved(residual, steps, domain=SQUARE, seed=0, **options):
    generator = np.random.default_rng(seed)
    adversary = Adversary(domain, options=AdversaryOptions(**(SMALL | options)), generator=generator)
    for _ in range(steps // 25):
        adversary.improve(residual, 25, generator)
    return adversary, generator


def test_the_best_density_fulfils_its_conditions():
    """A π − ρ + λ = 0 where π > 0 and ≥ 0 elsewhere; no density that is mixed with it does better."""
    n, beta = 32, 0.01
    rho = bump(60.0, (0.3, -0.4))(cells(n)).reshape(n, n)
    rho = rho / rho.mean()
    density, value = best_density(rho, (beta, beta))
    assert density.mean() == pytest.approx(1.0, abs=1e-12)
    assert density.min() == 0
    assert (density == 0).mean() > 0.2

    def objective_of(p):
        slopes = [n * np.diff(p, axis=axis) for axis in (0, 1)]
        return (rho * p).mean() - beta * sum((s**2).sum() for s in slopes) / n**2

    assert objective_of(density) == pytest.approx(value, rel=1e-12)
    generator = np.random.default_rng(0)
    for _ in range(20):
        smooth = np.abs(generator.normal(size=(n, n))) if generator.random() < 0.5 else rho * generator.random()
        other = smooth / smooth.mean()
        assert objective_of(0.999 * density + 0.001 * other) < value


def test_without_a_penalty_that_binds_it_is_the_solution_of_a_neumann_problem():
    n, beta = 48, 0.5
    rho = 1 + np.cos(np.pi * (cells(n)[:, 0].reshape(n, n) + 1) / 2)
    density, _ = best_density(rho, (beta, beta))
    exact = 1 + (rho - 1) / (2 * beta * np.pi**2)
    assert np.abs(density - exact).max() < 1e-3


def test_the_flow_comes_near_to_the_best_density():
    residual, n = bump(60.0, (0.3, -0.4)), 64
    rho = residual(cells(n))
    rho = rho / rho.mean()
    best, value = best_density(rho.reshape(n, n), (0.01, 0.01))
    adversary, _ = improved(residual, 200, beta=0.01)
    assert value > 3, "the uniform density would do"
    assert 0.9 * value < objective(adversary, cells(n), rho) < 1.02 * value
    gap = np.abs(adversary.relative_density(cells(n)) - best.ravel()).mean()
    assert gap < 0.3


def test_a_sharp_peak_is_found_from_a_cold_start():
    """Mass within 0.1 of the peak of the catalogue's problem, at least ten times that of the uniform density."""
    problem = load_problem("poisson/peak")

    def residual(x):
        q = ((x - problem.parameters["centre"]) ** 2).sum(axis=1)
        return ((4000 - 4e6 * q) * np.exp(-1000 * q)) ** 2

    adversary, generator = improved(residual, 100, pool=3000)
    samples = adversary.sample(20_000, generator)
    assert (((samples - 0.5) ** 2).sum(axis=1) < 0.01).mean() > 10 * np.pi * 0.01 / 4
    grid = adversary.density(cells(300))
    assert 4 * grid.mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_two_peaks_are_found_together(seed):
    residual = bump(500.0, (0.5, 0.5), (-0.5, -0.5))
    adversary, generator = improved(residual, 150, seed=seed, pool=2000, batch=200, couplings=6, learning_rate=1e-2)
    samples = adversary.sample(20_000, generator)
    masses = [(((samples - c) ** 2).sum(axis=1) < 0.01).mean() for c in (0.5, -0.5)]
    assert max(masses) < 2 * min(masses)
    assert min(masses) > 5 * np.pi * 0.01 / 4


def test_without_contrast_the_density_stays_uniform():
    for residual in (lambda x: np.full(len(x), 3.0), lambda x: np.zeros(len(x))):
        adversary, _ = improved(residual, 50)
        assert adversary.relative_density(cells(40)).std() < 0.2


def test_in_ten_dimensions_the_mass_moves_inwards():
    domain = Box((-1.0,) * 10, (1.0,) * 10)

    def residual(x):
        q = (x**2).sum(axis=1)
        return ((200 - 400 * q) * np.exp(-10 * q)) ** 2

    adversary, generator = improved(residual, 75, domain)
    assert (adversary.sample(4000, generator) ** 2).sum(axis=1).mean() < 2.3 < 10 / 3


def test_units_do_not_matter():
    """Lengths, times and residuals in other units: the same points in those units."""
    scales = np.array([1e-3, 50.0])
    plain, generator = improved(bump(60.0, (0.3, -0.4)), 50)
    other, again = improved(lambda x: 1e6 * bump(60.0, (0.3, -0.4))(x / scales), 50, Box(-scales, scales))
    assert np.allclose(other.sample(50, again), scales * plain.sample(50, generator), rtol=1e-4, atol=1e-5 * scales)


def test_the_raw_scale_fades_with_the_residual():
    peaks = []
    for size in (1.0, 1e-4):
        adversary, _ = improved(lambda x, size=size: size * bump(60.0, (0.3, -0.4))(x), 75, beta=1e-3, beta_scale="raw")
        peaks.append(adversary.relative_density(cells(50)).max())
    assert peaks[0] > 2
    assert peaks[1] < 1.1


def test_both_scales_agree_where_they_should():
    """On (−1, 1)², raw β = 16 mean(r²) times the relative one."""
    residual = bump(60.0, (0.3, -0.4))
    mean = residual(cells(400)).mean()
    densities = []
    for scale, beta in (("residual", 0.01), ("raw", 0.16 * mean)):
        adversary, _ = improved(residual, 150, beta=beta, beta_scale=scale)
        densities.append(adversary.relative_density(cells(50)))
    assert np.abs(densities[0] - densities[1]).mean() < 0.1


def test_what_is_recorded_is_what_is():
    residual = bump(60.0, (0.3, -0.4))
    adversary, generator = improved(residual, 150, beta=0.01)
    record = adversary.improve(residual, 20, generator)
    rho = residual(cells(128))
    assert record["mean_squared"] == pytest.approx(rho.mean(), rel=0.05)
    truth = objective(adversary, cells(128), rho / rho.mean())
    assert record["objective"] / record["mean_squared"] == pytest.approx(truth, rel=0.1)
    assert record["concentration"] == pytest.approx(
        (rho * adversary.relative_density(cells(128))).mean() / rho.mean(), rel=0.1
    )
    assert record["power"] == 1
    assert record["inside"] == 1


@pytest.fixture(scope="module")
def ell():
    """(−1, 1)² without its lower right quadrant."""
    mesh = box_mesh((-1, -1), (1, 1), 12)
    middle = mesh.points[mesh.corners].mean(axis=1)
    kept = ~((middle[:, 0] > 0) & (middle[:, 1] < 0))
    cells_kept = mesh.cells[kept]
    used, numbers = np.unique(cells_kept, return_inverse=True)
    return MeshDomain(type(mesh)(mesh.points[used], numbers.reshape(cells_kept.shape), mesh.cell_type, 1, {}, {}))


def test_on_a_mesh_what_lies_outside_is_cut_off(ell):
    adversary, generator = improved(bump(60.0, (0.1, 0.1)), 75, ell, beta=0.01)
    samples = adversary.sample(2000, generator)
    assert ell.contains(samples).all()
    points = ell.sample(100_000, generator)
    assert adversary.density(points).mean() * ell.volume == pytest.approx(1.0, abs=0.03)
    record = adversary.improve(bump(60.0, (0.1, 0.1)), 1, generator)
    assert 0.5 < record["inside"] < 1
    assert record["mean_squared"] == pytest.approx(bump(60.0, (0.1, 0.1))(points).mean(), rel=0.1)


def test_time_is_the_last_coordinate():
    """A bump at one instant, of three dimensions in all."""
    asked = []

    def residual(x):
        asked.append(x)
        return bump(30.0, (0.3, -0.4))(x) * np.exp(-((x[:, 2] - 7) ** 2))

    generator = np.random.default_rng(0)
    adversary = Adversary(SQUARE, (0.0, 10.0), AdversaryOptions(**SMALL), generator=generator)
    for _ in range(3):
        adversary.improve(residual, 25, generator)
    points = np.concatenate(asked)
    assert points[:, 2].min() >= 0
    assert points[:, 2].max() <= 10
    samples = adversary.sample(4000, generator)
    assert abs(samples[:, 2].mean() - 7) < 1
    assert samples[:, 2].std() < 2.5
    assert adversary.density(
        np.column_stack([SQUARE.sample(50_000, generator), 10 * generator.random(50_000)])
    ).mean() * 40 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("dim", [4, 6])
def test_in_many_dimensions_a_normal_residual_has_a_normal_answer(dim):
    """Of the variance v + 4β/d along each axis of the unit box, by the logarithmic form of the objective."""
    variance, beta, centre = 0.0075, 0.01, 0.2
    adversary, generator = improved(
        lambda x: np.exp(-((x - centre) ** 2).sum(axis=1) / (8 * variance)),
        150,
        Box((-1.0,) * dim, (1.0,) * dim),
        beta=beta,
    )
    lower, middle, upper = np.quantile(adversary.sample(8000, generator), [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(middle, centre, atol=0.06)
    # Quartiles, since what few couplings leave at the walls would rule the moments; unit box: half of each length.
    np.testing.assert_allclose(((upper - lower) / 1.349 / 2) ** 2, variance + 4 * beta / dim, rtol=0.25)


def test_going_on_is_bitwise_the_same():
    residual = bump(200.0, (0.5, 0.5))
    adversary, generator = improved(residual, 25)
    tensors, values, state = adversary.tensors(), adversary.values(), generator.bit_generator.state
    adversary.improve(residual, 10, generator)
    expected = adversary.sample(20, generator)
    other = Adversary(SQUARE, options=adversary.options, generator=np.random.default_rng(9))
    other.restore(tensors, values)
    again = np.random.default_rng(5)
    again.bit_generator.state = state
    other.improve(residual, 10, again)
    assert np.array_equal(other.sample(20, again), expected)


def test_residuals_are_asked_for_once_a_refresh():
    counts = []
    adversary, generator = improved(bump(60.0, (0.3, -0.4)), 25)
    adversary.improve(lambda x: counts.append(len(x)) or np.ones(len(x)), 20, generator)
    assert sum(counts) == SMALL["pool"]


def test_single_residuals_that_are_not_finite_count_as_zero():
    def residual(x):
        values = bump(60.0, (0.3, -0.4))(x)
        values[:3] = np.inf
        return values

    generator = np.random.default_rng(0)
    adversary = Adversary(SQUARE, options=AdversaryOptions(**SMALL))
    assert np.isfinite(list(adversary.improve(residual, 2, generator).values())).all()


@pytest.mark.parametrize(
    ("residual", "words"),
    [
        (lambda x: np.full(len(x), np.nan), "is finite"),
        (lambda x: -np.ones(len(x)), "needs squares"),
        (lambda x: np.ones((len(x), 2)), "of the shape"),
    ],
)
def test_wrong_residuals_are_refused(residual, words):
    with pytest.raises(OptionError, match=words):
        Adversary(SQUARE, options=AdversaryOptions(**SMALL)).improve(residual, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.0},
        {"beta": -1.0},
        {"beta": np.nan},
        {"beta_scale": "other"},
        {"pool": 3},
        {"batch": 1.5},
        {"steps": 0},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError, match=str(next(iter(options)))):
        AdversaryOptions(**options)


def test_a_domain_that_hardly_fills_its_box_is_refused():
    mesh = box_mesh((0, 0), (1, 1), 40)
    middle = mesh.points[mesh.corners].mean(axis=1)
    cells_kept = mesh.cells[np.abs(middle[:, 0] - middle[:, 1]) < 0.02]
    used, numbers = np.unique(cells_kept, return_inverse=True)
    thin = MeshDomain(type(mesh)(mesh.points[used], numbers.reshape(cells_kept.shape), mesh.cell_type, 1, {}, {}))
    with pytest.raises(DomainError, match="of its bounding box"):
        Adversary(thin)


def test_finds_have_their_density():
    """Its integral is one, also where laws are cut off by a wall, and samples follow it."""
    generator = np.random.default_rng(0)
    finds = Finds.around(np.array([[0.02, 0.5], [0.8, 0.97], [0.4, 0.4]]), 0.1, generator)
    unit = (cells(400) + 1) / 2
    density = finds.density(unit)
    assert density.mean() == pytest.approx(1.0, abs=1e-3)
    samples = finds.sample(100_000, generator)
    assert samples.min() >= 0
    assert samples.max() <= 1
    assert np.allclose(samples.mean(axis=0), (density[:, None] * unit).mean(axis=0), atol=3e-3)
    assert np.allclose((samples**2).mean(axis=0), (density[:, None] * unit**2).mean(axis=0), atol=3e-3)

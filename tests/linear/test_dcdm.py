"""Deep conjugate directions: structure, the published iteration, Ritz vectors, fall-back, files, and what is refused."""

import json

import numpy as np
import pytest
import torch

from sciml.errors import (
    MemoryShortageError,
    OptionError,
    OutputError,
    ParameterError,
    UnknownNameError,
    UnsupportedError,
)
from sciml.linear import diffusion, from_matrix, poisson, solve
from sciml.linear.dcdm import STRUCTURES, DeepConjugateDirections, DirectionNetwork, Directions, load_directions
from sciml.linear.dcdm.network import glorot
from sciml.linear.krylov import flexible_cg, pcg
from sciml.linear.lanczos import ritz_vectors
from sciml.linear.trained import digest_of, read_network, shipped_networks, write_network

PUBLISHED = {(2, "from64"): 32_657, (2, "from128"): 51_217, (3, "from64"): 97_457, (3, "from128"): 152_881}
REACH = {"from64": 21, "from128": 33}


def random_network(dim=2, structure="from64", seed=0):
    network = DirectionNetwork(dim, structure)
    glorot(network, torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize(("dim", "structure"), PUBLISHED)
def test_weights_are_as_many_as_published(dim, structure):
    network = DirectionNetwork(dim, structure, device="meta")
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[dim, structure]
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Conv3d))]
    assert len(layers) == {"from64": 15, "from128": 23}[structure]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_values_reach_as_far_as_stated(structure):
    """Positive weights let everything through: what a single residual touches is the reach, up to the pooling."""
    network = DirectionNetwork(2, structure, dtype=torch.float64)
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(0.01)
        r = torch.zeros(1, 96, 96, dtype=torch.float64)
        seen = network(r + 1)
        r[0, 48, 48] = 1.0
        touched = torch.nonzero((network(1 + r) - seen)[0].abs() > 0)
    far = (touched - 48).abs().max().item()
    assert REACH[structure] <= far <= REACH[structure] + 1


def test_the_network_by_hand():
    """One block at a time, as the authors' layers are ordered."""
    network = random_network()
    f = torch.nn.functional

    def conv(layer, x):
        return f.conv2d(x, layer.weight, layer.bias, padding=1)

    r = torch.randn(2, 12, 10, generator=torch.Generator().manual_seed(1))
    x = conv(network.entry, r[:, None])
    a = torch.relu(conv(network.first[0], x))
    b = torch.relu(conv(network.first[1], a))
    a = torch.relu(conv(network.before[0], b)) + a
    b = torch.relu(conv(network.before[1], a))
    c = f.avg_pool2d(b, 2)
    for k in range(3):
        u = torch.relu(conv(network.coarse[2 * k], c))
        c = torch.relu(conv(network.coarse[2 * k + 1], u)) + c
    y = f.interpolate(c, scale_factor=2, mode="nearest") + b
    for k in range(2):
        u = torch.relu(conv(network.after[2 * k], y))
        y = torch.relu(conv(network.after[2 * k + 1], u)) + y
    expected = (y * network.exit.weight[0].view(1, -1, 1, 1)).sum(1) + network.exit.bias
    assert torch.allclose(network(r), expected, atol=1e-6)


@pytest.mark.parametrize("dim", [2, 3])
def test_one_sample_is_as_in_a_batch(dim):
    network = random_network(dim)
    r = torch.randn(2, *(9, 8, 6)[:dim], generator=torch.Generator().manual_seed(0))
    whole = network(r)
    with torch.inference_mode():
        assert torch.allclose(network(r[:1]), whole[:1], atol=1e-5)


def test_networks_run_on_meta_with_gradients():
    network = DirectionNetwork(2, device="meta", dtype=torch.float64)
    out = network(torch.zeros(3, 7, 9, device="meta", dtype=torch.float64))
    assert out.shape == (3, 7, 9)
    out.sum().backward()
    assert network.entry.weight.grad.device.type == "meta"


# -- Ritz vectors ------------------------------------------------------------------------------------------------


def test_ritz_vectors_of_a_whole_space_are_eigenvectors():
    system = diffusion((7, 6), contrast=20)
    values, vectors = ritz_vectors(system, 100, np.random.default_rng(0))
    assert len(values) == 42
    assert np.allclose(values, np.linalg.eigvalsh(system.matrix.toarray()), rtol=1e-9)
    assert np.allclose(vectors @ vectors.T, np.eye(42), atol=1e-8)
    assert np.abs(system.matrix @ vectors.T - vectors.T * values).max() < 1e-8


def test_ritz_vectors_have_no_copies_and_no_null_space():
    """Without reorthogonalisation, copies of the outer values appear well before 200 steps."""
    system = poisson((20, 20), walls="closed")
    values, vectors = ritz_vectors(system, 200, np.random.default_rng(0))
    assert np.abs(vectors @ vectors.T - np.eye(len(values))).max() < 1e-10
    exact = np.linalg.eigvalsh(system.matrix.toarray())
    assert np.allclose(values[[0, -1]], exact[[0, -1]], rtol=1e-8)
    labels = np.zeros((10, 10), dtype=int)
    labels[1:-1, 1:-1] = 1
    from sciml.linear import Cells, from_cells

    free = from_cells(Cells(labels), np.ones((8, 8)))
    values, vectors = ritz_vectors(free, 63, np.random.default_rng(0))
    assert values.min() > 1e-3
    assert np.abs(vectors.sum(axis=1)).max() < 1e-9


def test_ritz_vectors_keep_to_their_memory():
    system = poisson((16, 16))
    with pytest.raises(MemoryShortageError, match="25 fit"):
        ritz_vectors(system, 100, np.random.default_rng(0), most_bytes=16 * 256 * 25)
    with pytest.raises(ParameterError, match="needs 2"):
        ritz_vectors(system, 1, np.random.default_rng(0))


# -- the iteration -----------------------------------------------------------------------------------------------


def published(A, b, network, tolerance, most):
    """The authors' loop, line by line."""
    x, r = np.zeros_like(b), b.copy()
    p0 = p1 = np.zeros_like(b)
    Ap0 = Ap1 = np.zeros_like(b)
    a0 = a1 = 1.0
    norms = [np.linalg.norm(r)]
    while norms[-1] > tolerance * norms[0] and len(norms) <= most:
        q = network(r / np.linalg.norm(r))
        p = q - p1 * (q @ Ap1) / a1 - p0 * (q @ Ap0) / a0
        Ap = A @ p
        a = p @ Ap
        x = x + p * (p @ r) / a
        r = b - A @ x
        norms.append(np.linalg.norm(r))
        p0, Ap0, a0, p1, Ap1, a1 = p1, Ap1, a1, p, Ap, a
    return x, norms


def test_the_iteration_is_the_published_one():
    system = poisson((16, 18), obstacles=2, seed=1)
    network = random_network(seed=3)
    prepared = Directions(system.grid, network, fall_back=False)
    found = prepared.iterate(system, system.rhs, 1e-6, 40)
    x, norms = published(system.matrix, system.rhs, prepared.apply, 1e-6, 40)
    assert found.iterations == len(norms) - 1 == 40
    assert np.allclose(found.history, norms, rtol=1e-6)
    assert np.allclose(found.x, x, atol=1e-8 * np.abs(x).max())


def test_the_network_sees_unit_residuals_and_its_output_is_masked():
    system = poisson((32, 32), obstacles=5, seed=1)
    prepared = Directions(system.grid, random_network())
    assert np.array_equal(prepared.apply(system.rhs), prepared.apply(1e-9 * system.rhs)) or np.allclose(
        prepared.apply(system.rhs), prepared.apply(1e-9 * system.rhs), rtol=1e-3
    )
    assert prepared.apply(system.rhs).shape == (system.size,)


@pytest.mark.parametrize("shape", [(24, 24), (40, 30)])
@pytest.mark.parametrize("obstacles", [0, 3])
def test_the_fall_back_costs_a_tenth_at_most(shape, obstacles):
    """With a network that knows nothing at all."""
    system = poisson(shape, obstacles=obstacles, walls="closed", seed=4)
    plain = solve(system, "cg")
    found = solve(system, DeepConjugateDirections(network=random_network(seed=9)))
    assert found.converged
    assert found.iterations <= 1.1 * plain.iterations
    assert "conjugate gradients made the other" in found.status
    assert len(found.history) == found.iterations + 1


def test_more_directions_are_conjugate_to_each_other():
    """From where the residual hardly falls: each new one to all that are kept."""
    system = poisson((24, 24), walls="closed")
    prepared = Directions(system.grid, random_network())
    D = 1 / system.matrix.diagonal()
    generator = np.random.default_rng(0)
    prepared.apply = lambda r: D * r * (1 + 0.3 * np.sign(r) * np.sin(generator.uniform(0, 6) + np.arange(len(r))))
    watch = prepared.watch()
    found = flexible_cg(
        system, system.rhs, prepared.apply, directions=watch.directions, tolerance=1e-12, max_iterations=25
    )
    assert watch.widened is not None
    assert found.iterations == 25
    lengths = [watch.directions(found.history[: k + 1]) for k in range(watch.widened, 26)]
    assert lengths[:3] == [2, 3, 4]
    assert max(lengths) == 10


def test_a_network_that_does_not_stagnate_is_kept():
    """The exact inverse in its place takes one step."""
    system = poisson((16, 16), walls="closed")
    prepared = Directions(system.grid, random_network())
    inverse = np.linalg.inv(system.matrix.toarray())
    prepared.apply = lambda r: inverse @ r
    found = prepared.iterate(system, system.rhs, 1e-9, 50)
    assert (found.iterations, found.status) == (1, "")


def test_conjugate_gradients_go_on_from_where_the_network_was():
    system = poisson((16, 16))
    start = np.random.default_rng(0).normal(size=system.size)
    found = pcg(system, system.rhs, np.copy, tolerance=1e-10, max_iterations=200, start=start)
    assert found.converged
    assert found.history[0] == pytest.approx(np.linalg.norm(system.rhs - system.matrix @ start))


# -- files and what is refused -----------------------------------------------------------------------------------


def saved(path, network):
    manifest = {"command": "sciml train-linear dcdm", "request": {"seed": 0}, "dim": network.dim}
    return write_network(path, "dcdm", manifest | {"structure": network.structure}, network.state_dict())


def test_networks_are_written_and_read(tmp_path):
    network = random_network(structure="from128")
    weights, record = saved(tmp_path / "own", network)
    again = load_directions(weights)
    r = torch.randn(1, 8, 8)
    assert again.structure == "from128"
    assert torch.allclose(again(r), network(r), atol=1e-6)
    assert load_directions(tmp_path / "own").structure == "from128"
    assert json.loads(record.read_text())["request_digest"] == digest_of({"seed": 0})


def test_damaged_networks_are_refused(tmp_path):
    weights, record = saved(tmp_path / "own", random_network())
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(OutputError, match="its hash differs"):
        read_network(weights, "dcdm")
    saved(tmp_path / "own", random_network())
    with pytest.raises(OutputError, match="holds a network of dcdm in format 1; learned_mg reads its own"):
        read_network(weights, "learned_mg")
    record.write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        read_network(weights, "dcdm")
    with pytest.raises(UnknownNameError, match="There is no trained network named"):
        read_network(tmp_path / "other", "dcdm")


def test_bad_input():
    with pytest.raises(UnsupportedError, match="trained for 3 axes, and the system poisson is on a grid of 2"):
        solve(poisson((16, 16)), DeepConjugateDirections(network=random_network(3)))
    with pytest.raises(UnsupportedError, match="dcdm needs a system on a grid"):
        solve(from_matrix(poisson((8, 8)).matrix), DeepConjugateDirections(network=random_network()))
    with pytest.raises(OptionError, match="directions = -1"):
        DeepConjugateDirections(directions=-1)
    with pytest.raises(OptionError, match="dim = 1"):
        DirectionNetwork(1)
    with pytest.raises(OptionError, match="structure = 'deep'"):
        DirectionNetwork(2, "deep")


def test_shipped_networks_say_what_made_them():
    """The hash of the request, options and seed, is that of the command beside it."""
    names = [name for name in shipped_networks() if name.startswith("dcdm")]
    assert {"dcdm_2d", "dcdm_3d"} <= set(names)
    for name in names:
        manifest, tensors = read_network(name, "dcdm")
        assert manifest["request_digest"] == digest_of(manifest["request"])
        assert sum(t.numel() for t in tensors.values()) == manifest["trainable_parameters"]
        assert manifest["command"].startswith("sciml train-linear dcdm ")
        assert len(manifest["sources"]) >= 3


def test_the_shipped_network_solves_what_it_was_not_trained_on():
    system = poisson((64, 64), obstacles=7, seed=0)
    found = solve(system, "dcdm")
    assert found.converged
    assert found.iterations <= 0.25 * solve(system, "cg").iterations

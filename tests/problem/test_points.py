"""Points that lie on a grid are recognised, whatever their order; others are left alone."""

import numpy as np
import pytest

from sciml.problem import Points


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_shuffled_grid_is_found(dim):
    generator = np.random.default_rng(0)
    lines = [np.sort(generator.random(n)) for n in (7, 5, 4)[:dim]]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, dim)
    points = Points(generator.permutation(grid) + 1e-15 * generator.random(grid.shape))
    found = points.lattice
    assert [len(line) for line in found.lines] == [len(line) for line in lines]
    there = np.stack([line[index] for line, index in zip(found.lines, found.index)], axis=1)
    np.testing.assert_allclose(there, points.array, rtol=0, atol=1e-14)


def test_points_anywhere_lie_on_none():
    assert Points(np.random.default_rng(0).random((50, 2))).lattice is None
    assert Points(np.zeros((0, 2))).lattice is None

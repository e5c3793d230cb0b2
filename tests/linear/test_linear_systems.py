"""Linear systems: stencils against dense twins, null spaces, rough coefficients, files, and what is refused."""

from itertools import product

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch

from sciml.errors import OptionError, ParameterError
from sciml.linear import SOLID, Cells, Grid, diffusion, from_cells, from_file, from_matrix, poisson
from sciml.linear.stencil_operator import StencilOperator


def dense_faces(faces):
    """Finite volumes on faces, one face after the other."""
    shape = tuple(n - (axis == 0) for axis, n in enumerate(faces[0].shape))
    number = np.arange(np.prod(shape)).reshape(shape)
    out = np.zeros((number.size, number.size))
    for axis, k in enumerate(faces):
        for place in np.ndindex(k.shape):
            above, below = place, tuple(p - (a == axis) for a, p in enumerate(place))
            own = [int(number[p]) for p in (below, above) if 0 <= p[axis] < shape[axis]]
            out[own, own] += k[place]
            if len(own) == 2:
                out[own, own[::-1]] -= k[place]
    return out


def dense_elements(tensors, spacing):
    """Multilinear elements by Gauss points, one element after the other, boundary nodes taken out."""
    dim = len(spacing)
    elements = tensors.shape[2:]
    nodes = tuple(n + 1 for n in elements)
    number = np.arange(np.prod(nodes)).reshape(nodes)
    out = np.zeros((number.size, number.size))
    points = (1 + np.array([-1, 1]) / np.sqrt(3)) / 2
    corners = list(product((0, 1), repeat=dim))
    for e in np.ndindex(elements):
        own = [int(number[tuple(np.add(e, c))]) for c in corners]
        for x in product(points, repeat=dim):
            slopes = np.array(
                [
                    [
                        (2 * c[i] - 1)
                        / spacing[i]
                        * np.prod([x[j] if c[j] else 1 - x[j] for j in range(dim) if j != i])
                        for i in range(dim)
                    ]
                    for c in corners
                ]
            )
            out[np.ix_(own, own)] += slopes @ tensors[(..., *e)] @ slopes.T * np.prod(spacing) / 2**dim
    inside = number[(slice(1, -1),) * dim].ravel()
    return out[np.ix_(inside, inside)]


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5)])
def test_stencils_of_faces(shape):
    generator = np.random.default_rng(0)
    faces = [generator.uniform(0, 1, tuple(n + (a == axis) for a, n in enumerate(shape))) for axis in range(len(shape))]
    assert np.allclose(Grid.of_faces(faces).matrix.toarray(), dense_faces(faces), atol=1e-13)


@pytest.mark.parametrize(("elements", "spacing"), [((5, 4), (0.5, 2.0)), ((3, 4, 3), (1.0, 0.3, 2.0))])
def test_stencils_of_tensors(elements, spacing):
    dim = len(elements)
    roots = np.random.default_rng(1).normal(size=(dim, dim, *elements))
    tensors = np.einsum("ik...,jk...->ij...", roots, roots)
    tensors = (tensors + tensors.swapaxes(0, 1)) / 2
    found = Grid.of_tensors(tensors, spacing).matrix.toarray()
    assert np.allclose(found, dense_elements(tensors, spacing), atol=1e-11)
    assert np.array_equal(found != 0, found.T != 0)


def test_grids_of_cells_have_their_matrix():
    system = poisson((9, 7), obstacles=5, seed=3)
    grid = system.grid
    assert abs(grid.matrix - grid.cells.matrix).max() == 0
    x = np.random.default_rng(0).normal(size=system.size)
    assert np.array_equal(grid.gather(grid.spread(x)), x)
    assert np.allclose(system.apply(x), grid.cells.matrix @ x, atol=0)


def test_a_matrix_gives_its_stencil_back():
    grid = diffusion((6, 5), anisotropy=50, angle=20, contrast=10).grid
    again = Grid.of_matrix(grid.matrix, grid.shape)
    assert abs(again.matrix - grid.matrix).max() == 0
    with pytest.raises(ParameterError, match="isn't on this grid"):
        Grid.of_matrix(grid.matrix, (5, 6))
    with pytest.raises(ParameterError, match="has 30 rows, and a grid of 4x4 has 16 cells"):
        Grid.of_matrix(grid.matrix, (4, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stencils_in_torch_are_the_matrices(dtype):
    systems = [poisson((8, 6), obstacles=k, seed=k) for k in range(3)]
    operator = StencilOperator([system.grid for system in systems], dtype)
    which = torch.tensor([2, 0, 1, 2])
    vectors = [np.random.default_rng(k).normal(size=systems[w].size) for k, w in enumerate(which)]
    u = torch.stack(
        [torch.as_tensor(systems[w].grid.spread(v)) for w, v in zip(which, vectors, strict=True)]
    ).to(dtype)  # fmt: skip
    out = operator(u, which).double().numpy()
    for k, (w, v) in enumerate(zip(which, vectors, strict=True)):
        assert np.allclose(
            systems[w].grid.gather(out[k]), systems[w].matrix @ v, atol=1e-5 if dtype != u.double().dtype else 1e-12
        )


def test_stencils_run_on_meta():
    operator = StencilOperator([poisson((8, 6)).grid], device="meta")
    out = operator(torch.zeros(2, 8, 6, device="meta"), torch.zeros(2, dtype=torch.long, device="meta"))
    assert out.shape == (2, 8, 6)
    assert out.device.type == "meta"


def test_pockets_have_null_spaces_of_their_own():
    labels = np.full((10, 10), SOLID)
    labels[1:4, 1:4] = labels[6:9, 6:9] = 1
    labels[1:9, 5] = SOLID
    rhs = np.random.default_rng(0).normal(size=(8, 8))
    system = from_cells(Cells(labels), rhs)
    assert len(system.null_space) == 2
    for v in system.null_space:
        assert np.linalg.norm(v) == pytest.approx(1)
        assert np.abs(system.apply(v)).max() < 1e-14
    projected = system.project(system.rhs)
    assert max(abs(v @ projected) for v in system.null_space) < 1e-14


def test_obstacles_depend_on_the_seed_alone():
    one, two, other = (poisson((24, 20), obstacles=4, seed=s) for s in (5, 5, 6))
    assert np.array_equal(one.grid.labels, two.grid.labels)
    assert np.array_equal(one.rhs, two.rhs)
    assert not np.array_equal(one.grid.labels, other.grid.labels)
    assert np.linalg.norm(one.rhs) == pytest.approx(1)


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_rough_coefficients_are_positive_definite_and_have_their_contrast(angle):
    system = diffusion((9, 8), contrast=1e4, anisotropy=100, angle=angle, seed=1)
    values = np.linalg.eigvalsh(system.matrix.toarray())
    assert values.min() > 0
    k = np.concatenate([f.ravel() for f in system.grid.faces[:1]]) if angle == 0 else system.grid.tensors
    assert abs(system.matrix - system.matrix.T).max() == 0
    if angle:
        own = np.linalg.eigvalsh(np.moveaxis(k, (0, 1), (-2, -1)))
        assert np.allclose(own[..., 1] / own[..., 0], 100)
        assert own[..., 1].max() / own[..., 1].min() == pytest.approx(1e4)
    else:
        assert 1e3 < k.max() / k.min() <= 1e4 * (1 + 1e-12)


def test_constant_coefficients_are_those_of_cells():
    assert abs(diffusion((7, 6)).matrix - poisson((7, 6)).matrix).max() < 1e-14


# -- files and what is refused ---------------------------------------------------------------------------------


def petsc_binary(matrix):
    head = np.array([1211216, *matrix.shape, matrix.nnz], dtype=">i4").tobytes()
    lengths = np.diff(matrix.indptr).astype(">i4").tobytes()
    return head + lengths + matrix.indices.astype(">i4").tobytes() + matrix.data.astype(">f8").tobytes()


@pytest.mark.parametrize("kind", ["mtx", "dat"])
def test_files_of_matrices_and_vectors(tmp_path, kind):
    system = diffusion((7, 6), contrast=100)
    path, vector = tmp_path / f"A.{kind}", tmp_path / f"b.{kind}"
    if kind == "mtx":
        scipy.io.mmwrite(path, system.matrix, symmetry="symmetric", precision=17)
        scipy.io.mmwrite(vector, system.rhs[:, None], precision=17)
    else:
        path.write_bytes(petsc_binary(system.matrix))
        vector.write_bytes(np.array([1211214, system.size], dtype=">i4").tobytes() + system.rhs.astype(">f8").tobytes())
    found = from_file(path, vector, shape=(7, 6))
    assert abs(found.matrix - system.matrix).max() < 1e-14
    assert np.allclose(found.rhs, system.rhs, rtol=0, atol=1e-16)
    assert found.grid.shape == (7, 6)
    text = tmp_path / "b.txt"
    np.savetxt(text, system.rhs)
    assert np.allclose(from_file(path, text).rhs, system.rhs)


def test_bad_files(tmp_path):
    with pytest.raises(OptionError, match="There is no file"):
        from_file(tmp_path / "A.mtx")
    (tmp_path / "A.mtx").write_text("nothing\n")
    with pytest.raises(OptionError, match="holds no matrix"):
        from_file(tmp_path / "A.mtx")
    (tmp_path / "A.dat").write_bytes(b"\0" * 40)
    with pytest.raises(OptionError, match="a PETSc matrix with 1211216"):
        from_file(tmp_path / "A.dat")
    (tmp_path / "b.txt").write_text("1\n2\n")
    scipy.io.mmwrite(tmp_path / "A.mtx", diffusion((4, 4)).matrix)
    with pytest.raises(ParameterError, match="holds 2 numbers; .* has 16 rows"):
        from_file(tmp_path / "A.mtx", tmp_path / "b.txt")


def laplacian(n):
    return scipy.sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()


def test_matrices_that_are_refused():
    A = laplacian(30).tolil()
    for row, column, value, message in [
        (3, 4, -1.5, r"isn't symmetric: entry \((3, 4|4, 3)\)"),
        (3, 3, -1.0, r"indefinite: entry \(3, 3\) of its diagonal is -1"),
        (3, 3, 0.0, "singular or indefinite: 1 entries of its diagonal are 0"),
        (3, 3, 0.5, "indefinite: it has the eigenvalue -"),
        (3, 3, np.nan, "not finite"),
    ]:
        wrong = A.copy()
        wrong[row, column] = value
        with pytest.raises(ParameterError, match=message):
            from_matrix(wrong.tocsr())
    with pytest.raises(ParameterError, match="The matrix is 3 by 4"):
        from_matrix(scipy.sparse.csr_array((3, 4)))


@pytest.mark.parametrize("n", [40, 900])
def test_singular_matrices_say_which_null_space(n):
    free = laplacian(n).tolil()
    free[0, 0] = free[n - 1, n - 1] = 1.0
    with pytest.raises(ParameterError, match="singular: constants are in its null space"):
        from_matrix(free.tocsr())
    two = scipy.sparse.block_diag([free, laplacian(n)]).tocsr()
    with pytest.raises(ParameterError, match="constants on 1 of its 2 components"):
        from_matrix(two)
    signs = scipy.sparse.diags_array((-1.0) ** np.arange(n))
    with pytest.raises(ParameterError, match="null space has 1 dimension"):
        from_matrix(signs @ free @ signs)


def test_right_sides_that_are_refused():
    b = np.ones(30)
    b[7] = np.nan
    with pytest.raises(ParameterError, match="not a finite number in 1 of 30 places"):
        from_matrix(laplacian(30), b)
    with pytest.raises(ParameterError, match="the system has 30 unknowns"):
        from_matrix(laplacian(30), np.ones(29))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: poisson((3, 8)), "at least 4 cells"),
        (lambda: poisson((8,)), "2 or 3 axes"),
        (lambda: poisson((8, 8), obstacles=-1), "from 0"),
        (lambda: diffusion((8, 8), contrast=0.5), "ratio of at least 1"),
        (lambda: diffusion((8, 8), anisotropy=np.inf), "ratio of at least 1"),
        (lambda: Grid.of_faces([np.ones((5, 4)), np.ones((4, 4))]), "of shape"),
        (lambda: Grid.of_tensors(np.ones((2, 3, 4, 4))), "not symmetric"),
    ],
)
def test_other_bad_input(make, message):
    with pytest.raises(ParameterError, match=message):
        make()

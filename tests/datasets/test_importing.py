"""Arrays of other files become data sets, or are refused in a sentence."""

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from sciml.datasets import import_arrays, open_dataset
from sciml.errors import OutputError, ParameterError, UnknownNameError, UnsupportedError

RNG = np.random.default_rng(0)
MAPS = RNG.random((20, 6, 6)) > 0.5
HILLS = RNG.standard_normal((20, 6, 6, 1))


def arrays():
    return {"a": MAPS, "u": HILLS, "a_test": MAPS[:5], "u_test": HILLS[:5]}


def write(path):
    if path.suffix == ".npz":
        np.savez(path, **arrays())
    elif path.suffix == ".pt":
        torch.save({name: torch.tensor(values) for name, values in arrays().items()}, path)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, arrays())
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays().items():
                file[name] = values
    return path


@pytest.mark.parametrize("kind", [".npz", ".h5", ".mat", ".pt"])
def test_every_kind_of_file(tmp_path, kind):
    file = write(tmp_path / f"foreign{kind}")
    dataset = import_arrays(file, tmp_path / "d.h5", problem="darcy/threshold", inputs="a", outputs="u")
    assert dataset.sizes == {"train": 14, "validation": 2, "test": 4}
    assert (dataset.input_names, dataset.output_names) == (["permeability"], ["u"])
    assert dataset.label_error is None
    train, test = dataset.samples("train"), dataset.samples("test")
    assert train.members is None
    np.testing.assert_array_equal(train.inputs[..., 0], MAPS[:14].astype(np.float32))
    np.testing.assert_array_equal(test.outputs, HILLS[16:].astype(np.float32))


def test_arrays_for_the_test(tmp_path):
    dataset = import_arrays(
        write(tmp_path / "f.npz"), tmp_path / "d.h5", problem="darcy/threshold",
        inputs="a", outputs="u", test_inputs="a_test", test_outputs="u_test",
    )  # fmt: skip
    assert dataset.sizes == {"train": 18, "validation": 2, "test": 5}
    np.testing.assert_array_equal(dataset.samples("test").outputs, HILLS[:5].astype(np.float32))
    assert open_dataset(dataset.path).checksum == dataset.checksum


def test_arrays_of_matlab_have_their_axes_turned(tmp_path):
    path = tmp_path / "new.mat"
    with h5py.File(path, "w") as file:
        for name, values in (("a", RNG.random((20, 6, 7))), ("u", RNG.random((20, 6, 7)))):
            item = file.create_dataset(name, data=values.T)
            item.attrs["MATLAB_class"] = np.bytes_("double")
    dataset = import_arrays(path, tmp_path / "d.h5", problem="darcy/threshold", inputs="a", outputs="u")
    assert dataset.grid == (6, 7)


def test_several_channels_have_numbers(tmp_path):
    np.savez(tmp_path / "f.npz", a=RNG.random((20, 4, 5, 3)), u=RNG.random((20, 4, 5, 2)))
    dataset = import_arrays(tmp_path / "f.npz", tmp_path / "d.h5", problem="darcy/threshold", inputs="a", outputs="u")
    assert dataset.input_names == ["input_0", "input_1", "input_2"]
    assert dataset.output_names == ["output_0", "output_1"]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({"a": MAPS}, UnknownNameError, "named 'u'"),
        ({"a": MAPS, "u": HILLS[:-1]}, ParameterError, "must be the same"),
        ({"a": MAPS, "u": HILLS[:, 0, 0]}, ParameterError, r"takes \(n, H, W\)"),
        ({"a": MAPS, "u": HILLS.astype(complex)}, ParameterError, "complex128"),
        ({"a": MAPS, "u": np.where(HILLS[7, 0, 0] == HILLS, np.nan, HILLS)}, ParameterError, "first in sample 7"),
        ({"a": MAPS[:3], "u": HILLS[:3]}, ParameterError, "too few"),
    ],
)
def test_bad_arrays(tmp_path, content, error, words):
    np.savez(tmp_path / "f.npz", **content)
    with pytest.raises(error, match=words):
        import_arrays(tmp_path / "f.npz", tmp_path / "d.h5", problem="darcy/threshold", inputs="a", outputs="u")
    assert not (tmp_path / "d.h5").exists()


def test_bad_files(tmp_path):
    def bring(name, problem="darcy/threshold"):
        import_arrays(tmp_path / name, tmp_path / "d.h5", problem=problem, inputs="a", outputs="u")

    with pytest.raises(OutputError, match="There is no file"):
        bring("none.npz")
    (tmp_path / "text.csv").write_text("a,u")
    with pytest.raises(OutputError, match="takes .npz"):
        bring("text.csv")
    for suffix in ("npz", "mat", "pt"):
        (tmp_path / f"text.{suffix}").write_text("a,u")
        with pytest.raises(OutputError, match=f"text.{suffix}"):
            bring(f"text.{suffix}")
    torch.save({"a": torch.ones(3), "u": Exception}, tmp_path / "code.pt")
    with pytest.raises(OutputError, match="more than tensors"):
        bring("code.pt")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object), u=HILLS)
    with pytest.raises(OutputError, match="cannot be read"):
        bring("objects.npz")
    write(tmp_path / "f.npz")
    with pytest.raises(UnsupportedError, match="steady families on boxes"):
        bring("f.npz", "navier_stokes/pipe")
    (tmp_path / "d.h5").write_text("")
    with pytest.raises(OutputError, match="exists"):
        bring("f.npz")

"""What is read is what was written, and nothing else is."""

import shutil

import h5py
import numpy as np
import pytest

from sciml import load_problem
from sciml.datasets import belongs, generate, inputs_of, open_dataset, outside
from sciml.datasets.store import checksum
from sciml.errors import OptionError, OutputError, UnknownNameError


@pytest.fixture
def copy(darcy, tmp_path):
    return shutil.copy(darcy.path, tmp_path / "copy.h5")


def changed(path, change, *, sealed):
    with h5py.File(path, "r+") as file:
        change(file)
        if sealed:
            file["sciml"].attrs["checksum"] = checksum(file)
    return path


def test_facts(darcy):
    dataset = open_dataset(darcy.path)
    assert dataset.family == "darcy/two_phase"
    assert dataset.problem.domain.dim == 2
    assert (dataset.grid, dataset.periodic) == ((9, 9), (False, False))
    assert (dataset.lower.tolist(), dataset.upper.tolist()) == ([0, 0], [1, 1])
    assert (dataset.input_names, dataset.output_names) == (["permeability"], ["u"])
    assert dataset.sizes == {"train": 7, "validation": 1, "test": 2}
    assert dataset.checksum == darcy.checksum
    assert dataset.times is None
    assert not dataset.varying_places


def test_arrays_are_in_single_precision_with_channels_last(darcy):
    samples = open_dataset(darcy.path).samples("train")
    assert len(samples) == 7
    for values, shape in (
        (samples.inputs, (7, 9, 9, 1)),
        (samples.outputs, (7, 9, 9, 1)),
        (samples.places, (9, 9, 2)),
    ):
        assert (values.dtype, values.shape) == (np.float32, shape)
    assert set(np.unique(samples.inputs)) == {3, 12}


def test_the_schema_of_the_well(darcy):
    with h5py.File(darcy.path) as file:
        assert set(file) == {
            "boundary_conditions",
            "dimensions",
            "scalars",
            "sciml",
            "t0_fields",
            "t1_fields",
            "t2_fields",
        }
        assert file.attrs["n_trajectories"] == 10
        assert list(file["t0_fields"].attrs["field_names"]) == ["permeability", "u"]
        field = file["t0_fields/u"]
        assert (field.shape, field.dtype) == ((10, 9, 9), np.float32)
        assert (bool(field.attrs["sample_varying"]), bool(field.attrs["time_varying"])) == (True, False)


def test_a_changed_value_is_found(copy):
    def change(file):
        file["t0_fields/u"][3, 4, 4] += 1e-6

    with pytest.raises(OutputError, match="checksum does not fit"):
        open_dataset(changed(copy, change, sealed=False))


def test_times_of_computing_are_no_data(copy, darcy):
    def change(file):
        file["sciml/records/cpu_seconds"][:] = 7.0

    assert open_dataset(changed(copy, change, sealed=False)).checksum == darcy.checksum


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (lambda: h5py.ExternalLink("other.h5", "/u"), "holds a link at 't0_fields/u'"),
        (lambda: h5py.SoftLink("/t0_fields/permeability"), "holds a link at 't0_fields/u'"),
    ],
)
def test_links_are_refused(copy, link, words):
    def change(file):
        del file["t0_fields/u"]
        file["t0_fields/u"] = link()

    with pytest.raises(OutputError, match=words):
        open_dataset(changed(copy, change, sealed=False))


def test_arrays_kept_in_other_files_are_refused(copy, tmp_path):
    def external(file):
        del file["t0_fields/u"]
        file["t0_fields"].create_dataset("u", (10, 9, 9), "f4", external=[(str(tmp_path / "raw"), 0, 3240)])

    with pytest.raises(OutputError, match="in another file"):
        open_dataset(changed(copy, external, sealed=False))


def test_values_that_are_not_finite_are_refused(copy):
    def change(file):
        file["t0_fields/u"][8, 0, 0] = np.nan

    with pytest.raises(OutputError, match="'u' that are not finite, first in sample 8"):
        open_dataset(changed(copy, change, sealed=True))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(OutputError, match="There is no file"):
        open_dataset(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("u")
    with pytest.raises(OutputError, match="no HDF5 file"):
        open_dataset(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["u"] = np.zeros(3)
    with pytest.raises(OutputError, match="another layout"):
        open_dataset(tmp_path / "other.h5")


def test_splits_and_frames_that_there_are_not(darcy):
    dataset = open_dataset(darcy.path)
    with pytest.raises(UnknownNameError, match="no split named 'tests'"):
        dataset.samples("tests")
    with pytest.raises(OptionError, match="does not run in time"):
        dataset.samples("test", frames_in=2)


def test_inputs_of_a_member_are_those_of_its_sample_and_exist_on_other_grids(darcy):
    dataset = open_dataset(darcy.path)
    samples = dataset.samples("train")
    seed, index = samples.members[4]
    member = load_problem("darcy/threshold").draw(index, seed)
    assert belongs(member, dataset.problem) is None
    np.testing.assert_array_equal(inputs_of(member, dataset.problem, dataset.grid), samples.inputs[4])
    finer = inputs_of(member, dataset.problem, (17, 17))
    np.testing.assert_array_equal(finer[::2, ::2], samples.inputs[4])


def test_what_is_no_member():
    family = load_problem("wave/membrane").fixing(contrast=1.2)
    assert belongs(family.draw(5), family) is None
    reason = belongs(load_problem("wave/membrane", contrast=1.4), family)
    assert "contrast = 1.4" in reason
    assert "1.2" in reason
    assert "darcy/two_phase" in belongs(load_problem("darcy/two_phase"), family)


def test_what_lies_outside_of_the_training_samples(tmp_path):
    family = load_problem("hyperelasticity/void")
    dataset = open_dataset(generate(family, tmp_path / "v.h5", split=(2, 1, 1), check=0).path)
    low, high = dataset.ranges["amplitudes"]
    amplitudes = 0.5 * (low + high)
    inside = family.with_parameters(amplitudes=tuple(amplitudes))
    assert outside(inside, dataset.ranges) == []
    amplitudes[3] = high[3] + 0.1
    assert outside(family.with_parameters(amplitudes=tuple(amplitudes)), dataset.ranges) == ["amplitudes"]
    np.testing.assert_allclose(inputs_of(inside, dataset.problem, None)[-1, 0], [0, 0], atol=1e-7)

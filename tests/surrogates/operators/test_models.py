"""Every kind of network: shapes, options that rebuild it, weights in files, no side effects; and what each refuses."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from sciml.errors import OptionError, UnknownNameError
from sciml.solvers.base import Range
from sciml.surrogates.operators import MODELS, Setting, build, load_state, state_for_file

LINE = Setting(dim=1, grid=(33,), in_channels=2, periodic=(True,))
SQUARE = Setting(dim=2, grid=(16, 13), in_channels=2, out_channels=3)
CUBE = Setting(dim=3, grid=(8, 9, 6), out_channels=2)
CLOUD = Setting(dim=2, grid=(40,), points=True, in_channels=2)
SETTINGS = {"line": LINE, "square": SQUARE, "cube": CUBE, "cloud": CLOUD}
FOR_POINTS = {"fno", "lsm", "mean", "nearest", "transolver"}
CASES = [(m, s) for m in sorted(MODELS) for s in SETTINGS if s != "cloud" or m in FOR_POINTS]
TRAINED = [(m, s) for m, s in CASES if MODELS[m].trained]


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def arguments(setting, batch=2):
    places = random(*setting.grid, setting.dim, seed=1).sigmoid() if setting.points else None
    return random(batch, *setting.grid, setting.in_channels), places


def fitted(name, setting, seed=0):
    operator = build(name, setting, seed)
    if not operator.trained:
        operator.fit(random(5, *setting.grid, setting.in_channels), random(5, *setting.grid, setting.out_channels))
    return operator.eval()


def test_the_kinds():
    assert {"fno", "lsm", "mean", "nearest", "tfno", "transolver", "unet", "uno"} == set(MODELS)
    for name, kind in MODELS.items():
        assert kind.name == name
        assert kind.title
        for option, values in kind.tuning_space.items():
            assert option in kind.Options.model_fields
            assert isinstance(values, Range) or len(values) > 1
        assert all(field.description for field in kind.Options.model_fields.values())


@pytest.mark.parametrize(("name", "setting"), CASES)
def test_shapes_options_and_files(name, setting, tmp_path):
    setting = SETTINGS[setting]
    operator = fitted(name, setting)
    inputs, places = arguments(setting)
    before = torch.get_rng_state()
    with torch.no_grad():
        found = operator(inputs, places)
        assert found.shape == (2, *setting.grid, setting.out_channels)
        assert found.isfinite().all()
        again = build(name, setting, 1, **json.loads(json.dumps(operator.options))).eval()
        assert again.options == operator.options
        assert {k: v.shape for k, v in again.named_parameters()} == {k: v.shape for k, v in operator.named_parameters()}
        save_file(state_for_file(operator), tmp_path / "weights.safetensors")
        load_state(again, load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(again(inputs, places), found)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("name", "setting"), TRAINED)
def test_every_weight_is_trained_and_nothing_needs_numbers(name, setting):
    setting = SETTINGS[setting]
    operator = build(name, setting, 0, device="meta")
    inputs, places = arguments(setting)
    found = operator(inputs.to("meta"), None if places is None else places.to("meta"))
    target = torch.empty_like(found)
    ((found - target).flatten(1).norm(dim=1) / target.flatten(1).norm(dim=1)).sum().backward()
    assert found.device.type == "meta"
    assert not [name for name, weight in operator.named_parameters() if weight.grad is None]
    assert operator.flops(batch=2) > operator.flops() > 0
    assert operator.trainable_parameters <= operator.real_parameters


@pytest.mark.parametrize("name", sorted(MODELS))
def test_seeds(name):
    one, same, other = (build(name, SQUARE, seed).state_dict() for seed in (3, 3, 4))
    tensors = [key for key, value in one.items() if isinstance(value, torch.Tensor)]
    assert all(torch.equal(one[key], same[key]) for key in tensors)
    assert not MODELS[name].trained or any(not torch.equal(one[key], other[key]) for key in tensors)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_double_precision(name):
    """Complex weights stay complex, and single precision is close to it."""
    inputs, _ = arguments(SQUARE)
    single, double = build(name, SQUARE, 0).eval(), build(name, SQUARE, 0, dtype=torch.float64).eval()
    with torch.no_grad():
        expected = double(inputs.double())
        assert expected.dtype == torch.float64
        assert (single(inputs) - expected).abs().max() <= 2e-5 * max(1, float(expected.abs().max()))
    for weight in double.parameters():
        assert weight.dtype in (torch.float64, torch.complex128)
    assert double.real_parameters == single.real_parameters


def test_parameters_of_the_published_settings():
    """The seven benchmarks of the paper: data, width, patches and padding as published."""
    from sciml.benchmark.measurements.operator_networks import latent_spectral_parameters

    assert latent_spectral_parameters() == {
        "elasticity_points": 5_402_785,
        "elasticity_deformation": 63_746,
        "elasticity_grid": 4_812_801,
        "plasticity": 13_457_828,
        "navier_stokes": 19_188_033,
        "darcy": 19_187_457,
        "airfoil": 4_812_833,
        "pipe": 10_804_913,
    }


def test_parameters_of_the_small_settings():
    setting = Setting(dim=2, grid=(32, 32))
    lsm, fno = build("lsm", setting, 0), build("fno", setting, 0)
    assert lsm.trainable_parameters == lsm.real_parameters == 307_137
    assert lsm.options["patch"] == [4, 4]
    assert lsm.options["levels"] == 4
    assert fno.real_parameters == 701_281


@pytest.mark.parametrize(("grid", "levels", "patch", "padding"), [
    ((32, 32), 4, [4, 4], [0, 0]), ((64, 64), 5, [4, 4], [0, 0]), ((85, 85), 5, [6, 6], [11, 11]),
    ((129, 129), 5, [9, 9], [15, 15]), ((7, 40), 1, [7, 40], [0, 0]), ((3, 3), 1, [3, 3], [0, 0]),
])  # fmt: skip
def test_levels_and_patches_follow_from_the_grid(grid, levels, patch, padding):
    options = build("lsm", Setting(dim=2, grid=grid), 0, device="meta").options
    assert (options["levels"], options["patch"], options["padding"]) == (levels, patch, padding)


@pytest.mark.parametrize(("name", "share"), [("fno", 0.15), ("tfno", 0.15), ("uno", 0.3)])
def test_another_resolution_where_it_is_possible(name, share):
    """A periodic field on a finer grid that contains the coarse one: the same values on it, but for aliasing and, in UNO, interpolation."""
    setting = Setting(dim=2, grid=(24, 24), periodic=(True, True))
    operator = build(name, setting, 0, modes=6).eval()

    def wave(n):
        x, y = torch.meshgrid(*[2 * torch.pi * torch.arange(n) / n] * 2, indexing="ij")
        return torch.sin(x + torch.cos(y))[None, ..., None]

    with torch.no_grad():
        coarse, fine = operator(wave(24)), operator(wave(72))[:, ::3, ::3]
        odd, other = operator(wave(25)), operator(wave(75))[:, ::3, ::3]
    spread = coarse.std()
    assert (coarse - fine).abs().max() < share * spread
    assert (odd - other).abs().max() < share * spread


def test_grids_that_a_network_was_not_built_for():
    for name in ("lsm", "unet", "transolver", "mean"):
        with pytest.raises(OptionError, match=r"built for \(16, 13\) and knows no other"):
            build(name, SQUARE, 0)(random(1, 32, 13, 2))
    with pytest.raises(OptionError, match=r"takes \(n, 16, 13, 2\)"):
        build("fno", SQUARE, 0)(random(1, 16, 13, 1))
    with pytest.raises(OptionError, match="without their places"):
        build("lsm", CLOUD, 0)(random(1, 40, 2))


def test_another_number_of_points():
    for name in ("lsm", "fno", "transolver"):
        assert build(name, CLOUD, 0)(random(1, 55, 2), random(55, 2)).shape == (1, 55, 1)
    with pytest.raises(OptionError, match="knows no other"):
        build("nearest", CLOUD, 0)(random(1, 55, 2), random(55, 2))


@pytest.mark.parametrize(("name", "setting", "options", "message"), [
    ("lsm", SQUARE, {"heads": 3}, "width=16 is not divisible by heads=3"),
    ("lsm", Setting(dim=2, grid=(32, 32)), {"levels": 3, "patch": 3, "padding": 0}, "patches of 1, 2, 4, 8 can, or take a padding of 4"),
    ("lsm", SQUARE, {"patch": (2, 2, 2)}, r"patch=\(2, 2, 2\) has 3 numbers"),
    ("lsm", SQUARE, {"patch": 0, "padding": 0}, "take at least 1 and 0"),
    ("lsm", SQUARE, {"modes": 12}, "for unstructured points; leave them out"),
    ("lsm", CLOUD, {"modes": 7}, "take even numbers"),
    ("lsm", CLOUD, {"modes": 64}, "take even numbers"),
    ("lsm", SQUARE, {"token": 2}, "did you mean 'tokens'"),
    ("lsm", SQUARE, {"norm": "layer"}, "Option norm='layer' of model 'lsm'"),
    ("lsm", Setting(dim=3, grid=(9,), points=True), {}, "in 2 dimensions; these have 3"),
    ("unet", SQUARE, {"padding": 0}, "cannot be halved 1 times; take a padding of 1"),
    ("unet", CLOUD, {}, "needs a grid and was given unstructured points"),
    ("tfno", CLOUD, {}, "needs a grid and was given unstructured points"),
    ("uno", CLOUD, {}, "needs a grid and was given unstructured points"),
    ("fno", SQUARE, {"modes": 14}, "take 1 up to the size of the grid"),
    ("fno", SQUARE, {"latent_grid": 14}, "leave it out on a grid"),
    ("transolver", SQUARE, {"width": 30}, "not divisible by heads=4"),
    ("mean", SQUARE, {"width": 30}, "it has none"),
])  # fmt: skip
def test_options_that_do_not_fit(name, setting, options, message):
    with pytest.raises(OptionError, match=message):
        build(name, setting, 0, **options)


def test_unknown_models_and_odd_settings():
    with pytest.raises(UnknownNameError, match="did you mean 'lsm'"):
        build("lms", SQUARE, 0)
    for given in ({"dim": 4, "grid": (2,) * 4}, {"dim": 2, "grid": (8,)}, {"dim": 1, "grid": (1,)},
                  {"dim": 2, "grid": (8, 8), "periodic": (True,)}, {"dim": 1, "grid": (8,), "in_channels": 0}):  # fmt: skip
        with pytest.raises(OptionError):
            Setting(**given)


def test_options_as_text():
    options = {"levels": "2", "patch": "4,2", "padding": "0,3", "norm": "instance"}
    assert build("lsm", SQUARE, 0, **options).options["patch"] == [4, 2]


def test_weights_of_another_network():
    with pytest.raises(OptionError, match="is in one of them only"):
        load_state(build("lsm", SQUARE, 0), state_for_file(build("unet", SQUARE, 0)))
    with pytest.raises(OptionError, match="and takes"):
        load_state(build("fno", SQUARE, 0), state_for_file(build("fno", SQUARE, 0, width=16)))


def test_mean_and_nearest():
    inputs, outputs = random(6, 16, 13, 2), random(6, 16, 13, 3, seed=1)
    inputs[..., 1] *= 1e6  # a unit that would drown the other channel
    mean, nearest = build("mean", SQUARE, 0), build("nearest", SQUARE, 0)
    for operator in (mean, nearest):
        operator.fit(inputs, outputs)
    torch.testing.assert_close(mean(inputs[:2])[1], outputs.mean(dim=0))
    moved = inputs + torch.tensor([0.1, 1e5]) * random(*inputs.shape, seed=2)
    assert torch.equal(nearest(moved.flip(0)), outputs.flip(0))
    near = inputs[:1].clone()
    near[..., 0] = inputs[3, ..., 0]
    near[..., 1] = 0.6 * inputs[0, ..., 1] + 0.4 * inputs[3, ..., 1]
    assert torch.equal(nearest(near)[0], outputs[3])
    with pytest.raises(OptionError, match="is trained by gradients"):
        build("lsm", SQUARE, 0).fit(inputs, outputs)


@pytest.mark.slow
def test_other_libraries_change_nothing_of_the_process():
    """No output, no filters of warnings, no generators."""
    code = """
import warnings, torch
import sciml.surrogates.operators as operators
state = lambda: (list(warnings.filters), torch.get_rng_state().tolist(), torch.get_default_dtype())
before = state()
for name in ("fno", "tfno", "uno"):
    operators.build(name, operators.Setting(dim=2, grid=(16, 16)), 0)
print(state() == before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "True"

"""Compressed convolutions are the dense ones with the kernels that they materialise to."""

import itertools
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from sciml.errors import OptionError, ScimlWarning, UnknownNameError
from sciml.nn.compressed import FORMATS, Chain, compress, make_convolution

DENSE = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
SIZES, KERNEL = (7, 6, 8), (3, 5, 3)
EXACT = {"rtol": 0, "atol": 1e-12}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(format, dim=2, inputs=3, outputs=4, kernel=None, **options):
    kernel = KERNEL[:dim] if kernel is None else kernel
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScimlWarning)
        return make_convolution(
            format, dim, inputs, outputs, kernel, dtype=torch.float64, generator=seeded(), **options
        )  # fmt: skip


def randn(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def dense(layer, x, kernel, bias, mode, transposed, stride, dilation):
    """PyTorch's own convolution with a kernel, padded in PyTorch's own way."""
    dim = x.ndim - 2
    around = [dilation * (k - 1) // 2 for k in kernel.shape[2:]]
    if transposed:
        return TRANSPOSED[dim - 1](
            x, kernel.transpose(0, 1), bias, stride, around, output_padding=stride - 1, dilation=dilation
        )  # fmt: skip
    if mode != "zeros":
        amounts = [n for one in reversed(around) for n in (one, one)]
        x, around = functional.pad(x, amounts, mode="circular" if mode == "periodic" else mode), 0
    return DENSE[dim - 1](x, kernel, bias, stride, around, dilation)


PLACES = [
    *itertools.product(("zeros", "reflect", "replicate", "periodic"), (False,), (1, 2), (1, 2)),
    *itertools.product(("zeros",), (True,), (1, 2), (1, 2)),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_it_is_the_dense_convolution_with_its_kernel_and_so_are_its_gradients(format, dim):
    for mode, transposed, stride, dilation in PLACES:
        layer = made(format, dim, padding_mode=mode, transposed=transposed, stride=stride, dilation=dilation)
        assert layer.kernel().shape == (4, 3, *KERNEL[:dim])
        x = randn(2, 3, *SIZES[:dim]).requires_grad_()
        own = layer(x)
        expected = dense(layer, x, layer.kernel(), layer.bias, mode, transposed, stride, dilation)
        assert own.shape[2:] == tuple(n * stride if transposed else -(-n // stride) for n in SIZES[:dim])
        torch.testing.assert_close(own, expected, **EXACT)
        weights = [x, *layer.parameters()]
        seen = randn(*own.shape, seed=2)
        ours, theirs = (torch.autograd.grad((y * seen).sum(), weights) for y in (own, expected))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("format", FORMATS)
def test_single_precision_loses_no_more_than_rounding(format):
    layer = made(format, 2, 8, 8, 5)
    x = randn(2, 8, 12, 12)
    exact, single = layer(x), layer.float()(x.float())
    assert float((single - exact).detach().abs().max() / exact.detach().abs().max()) < 5e-6


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_the_formulas_of_parameters_are_exact(kernel, dim, bias):
    i, o, k, d, r = 6, 8, kernel, dim, 5
    formulas = {
        "dense": (None, o * i * k**d),
        "chain": (r, k * (i * r + (d - 2) * r * r + r * o) if d > 1 else o * i * k),
        "canonical": (r, r * (i + o + d * k)),
        "separable": (r, r * o * i * d * k),
        "depthwise": (None, i * k**d + i * o),
        "tucker": (r, i * r + r * r * k**d + r * o),
    }
    for format, (rank, expected) in formulas.items():
        ranked = rank if FORMATS[format].n_ranks(dim) else None
        layer = made(format, dim, i, o, kernel, rank=ranked, bias=bias)
        assert sum(p.numel() for p in layer.parameters()) == expected + (o if bias else 0)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("channels", [(1, 1), (3, 16), (16, 16), (16, 1)])
def test_default_ranks_are_not_dearer_than_dense_where_one_of_1_is_not(format, dim, channels):
    for kernel in (3, 5):
        layer = make_convolution(format, dim, *channels, kernel, device="meta")
        held = sum(factor.numel() for factor in layer.factors)
        if held > math.prod(channels) * kernel**dim:
            assert set(layer.ranks) <= {1}
            assert min(channels) == 1 or dim == 1


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("dim", "transposed"), [(1, False), (2, False), (3, False), (2, True)])
def test_the_first_kernel_has_the_variance_of_a_dense_one(format, dim, transposed):
    stride = 2 if transposed else 1
    kernel, inputs = {1: 5, 2: 4 if transposed else 5, 3: 3}[dim], 32
    layers = [
        make_convolution(
            format,
            dim,
            inputs,
            32,
            kernel,
            padding=1,
            stride=stride,
            transposed=transposed,
            dtype=torch.float64,
            generator=seeded(seed),
        )
        for seed in range(6)
    ]
    found = sum(float(layer.kernel().detach().square().mean()) for layer in layers) / len(layers)
    assert found == pytest.approx(stride**dim / (3 * inputs * kernel**dim), rel=0.25)


def test_pytorch_starts_with_the_same_variance():
    own = make_convolution("dense", 2, 32, 32, 5, generator=seeded())
    theirs = nn.Conv2d(32, 32, 5)
    for ours, other in zip(own.parameters(), theirs.parameters(), strict=True):
        assert float(ours.detach().abs().max()) == pytest.approx(float(other.detach().abs().max()), rel=0.2)


def test_the_seed_decides_the_weights_and_nobody_elses_numbers_are_drawn():
    before = torch.get_rng_state()
    one, same, other = (make_convolution("canonical", 2, 4, 4, 3, generator=seeded(s)) for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.kernel(), same.kernel())
    assert not torch.equal(one.kernel(), other.kernel())


@pytest.mark.parametrize(("kernel", "ranks"), [((5, 5), (15,)), ((3, 5), (9,)), ((3, 3, 3), (9, 12))])
def test_every_kernel_is_a_chain_of_full_rank(kernel, ranks):
    layer = made("chain", len(kernel), 3, 4, kernel, rank=ranks)
    assert isinstance(layer, Chain)
    wanted = randn(4, 3, *kernel)
    assert layer.set_kernel(wanted) < 1e-13
    torch.testing.assert_close(layer.kernel(), wanted, **EXACT)


def test_the_nearest_chain_is_as_far_as_the_singular_values_that_are_left_out():
    wanted = randn(4, 3, 5, 5)
    values = torch.linalg.svdvals(wanted.permute(1, 2, 3, 0).reshape(15, 20))
    for rank in (1, 4, 10, 15):
        error = made("chain", 2, 3, 4, 5, rank=rank).set_kernel(wanted)
        assert error == pytest.approx(float(values[rank:].norm() / values.norm()), abs=1e-13)


def test_the_five_point_laplacian_needs_two_products():
    stencil = torch.tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64)[None, None]
    errors = [made("chain", 2, 1, 1, 3, rank=rank).set_kernel(stencil) for rank in (1, 2)]
    assert errors[0] > 0.09
    assert errors[1] < 1e-14


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_canonical_format_is_that_of_tensorly(dim):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tltorch = pytest.importorskip("tltorch")
    theirs = tltorch.FactorizedConv(
        6, 8, 3, order=dim, padding=1, bias=True, factorization="cp", rank=5, implementation="factorized"
    ).double()  # fmt: skip
    theirs.reset_parameters(0.1)
    layer = made("canonical", dim, 6, 8, 3, rank=5)
    outputs, inputs, *filters = theirs.weight.factors
    with torch.no_grad():
        theirs.bias.copy_(layer.bias)
        first, *middle, last = layer.factors
        first.copy_(inputs.T.reshape(first.shape))
        last.copy_((outputs * theirs.weight.weights).reshape(last.shape))
        for own, other in zip(middle, filters, strict=True):
            own.copy_(other.T.reshape(own.shape))
    x = randn(2, 6, *SIZES[:dim])
    torch.testing.assert_close(layer(x), theirs(x), rtol=0, atol=1e-13)
    torch.testing.assert_close(layer.kernel(), theirs.weight.to_tensor(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("format", ["chain", "tucker"])
def test_tensor_trains_and_tucker_are_those_of_tensorly(format):
    """Its tensor train has a matrix of channels at both ends beside the filters of the chain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tltorch = pytest.importorskip("tltorch")
    kind, rank = ("tt", (1, 6, 5, 8, 1)) if format == "chain" else ("tucker", (4, 5, 3, 3))
    theirs = tltorch.FactorizedConv(6, 8, 3, order=2, padding=1, bias=True, factorization=kind, rank=rank).double()
    theirs.reset_parameters(0.1)
    whole = theirs.weight.to_tensor().detach()
    layer = made(format, 2, 6, 8, 3, rank=5 if format == "chain" else (5, 4))
    with torch.no_grad():
        theirs.bias.copy_(layer.bias)
        if format == "chain":
            whole = whole.permute(3, 0, 1, 2)
            assert layer.set_kernel(whole) < 1e-13
        else:
            outputs, inputs, *spatial = theirs.weight.factors
            core = torch.einsum("qpab,xa,yb->qpxy", theirs.weight.core, *spatial)
            for own, other in zip(layer.factors, (inputs.T, core, outputs), strict=True):
                own.copy_(other.reshape(own.shape))
    torch.testing.assert_close(layer.kernel(), whole, **EXACT)
    x = randn(1, 6, 7, 6)
    torch.testing.assert_close(layer(x), theirs(x), **EXACT)


# -- whole networks ------------------------------------------------------------------------------------------------------


class Nested(nn.Module):
    """Convolutions of many kinds, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="reflect")
        self.twice = nn.Sequential(nn.Conv2d(8, 8, (5, 3), padding="same", dilation=2, bias=False), nn.BatchNorm2d(8))
        self.again = self.twice[0]
        self.up = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.line = nn.Conv2d(8, 8, (1, 5), padding=(0, 2))
        self.mix = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.again(self.twice(self.down(x)))
        return self.mix(self.line(self.depthwise(self.up(x))))


@pytest.mark.parametrize("format", ["chain", "canonical", "separable", "depthwise", "tucker"])
def test_a_network_becomes_one_of_the_same_interface(format):
    network, changes = Nested().double().eval(), []
    before = {name: value.clone() for name, value in network.state_dict().items()}
    small = compress(network, format, generator=seeded(), report=changes.append)
    x = randn(2, 3, 16, 12)
    assert small(x).shape == network(x).shape == (2, 2, 16, 12)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert small.again is small.twice[0]
    assert isinstance(small.again, FORMATS[format])
    assert not small.again.training
    kinds = {name: type(module) for name, module in small.named_children()}
    assert kinds["depthwise"] is kinds["mix"] is nn.Conv2d
    assert torch.equal(small.mix.weight, network.mix.weight)
    assert small.mix.weight is not network.mix.weight
    assert {change.name for change in changes} == {"down", "twice.0", "up", "depthwise", "line", "mix"}
    left = {change.name for change in changes if change.reason}
    assert left >= {"depthwise", "mix"}
    assert ("line" in left) == (format in ("chain", "separable"))
    total = sum(p.numel() for p in small.parameters()) - sum(p.numel() for p in network.parameters())
    assert total == sum(change.after - change.before for change in changes) < 0


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_compressed_layer_is_put_where_the_dense_one_was(format, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    more = {"output_padding": 1} if transposed else {"padding_mode": "circular"}
    layer = kind(4, 6, 3, stride=2, padding=1, dilation=2, **more).double()
    small = compress(layer, format, generator=seeded())
    with torch.no_grad():
        kernel = small.kernel()
        layer.weight.copy_(kernel.transpose(0, 1) if transposed else kernel)
        layer.bias.copy_(small.bias)
    x = randn(2, 4, 9, 8)
    torch.testing.assert_close(small(x), layer(x), **EXACT)


def test_five_layers_hold_about_half_as_a_chain():
    widths = [3, 16, 16, 16, 16, 1]
    network = nn.Sequential(*(nn.Conv2d(a, b, 5, padding=2) for a, b in itertools.pairwise(widths)))
    dense_numbers = sum(p.numel() for p in network.parameters())
    assert dense_numbers == 20865
    assert sum(p.numel() for p in compress(network, "chain").parameters()) <= 0.52 * dense_numbers
    with pytest.warns(
        ScimlWarning, match=r"rank=16 was given; 0: format 'chain' of rank 16.*take a rank of at most 12"
    ):
        known = compress(network, "chain", 16)
    assert sum(p.numel() for p in known.parameters()) == 10625


@pytest.mark.parametrize("format", FORMATS)
def test_the_device_meta_takes_a_pass_and_its_gradients(format):
    layer = make_convolution(format, 3, 4, 4, 3, device="meta", dtype=torch.float64, padding_mode="circular")
    y = layer(torch.empty(2, 4, 6, 6, 6, device="meta", dtype=torch.float64, requires_grad=True))
    y.sum().backward()
    assert y.dtype == torch.float64
    assert all(weight.grad.device.type == "meta" for weight in layer.parameters())


@pytest.mark.parametrize("format", FORMATS)
def test_memory_may_be_laid_out_with_the_channels_last(format):
    layer = made(format, 3, 4, 4, 3)
    x = randn(1, 4, 5, 6, 7)
    expected = layer(x)
    found = layer.to(memory_format=torch.channels_last_3d)(x.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(found, expected, **EXACT)


# -- refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "options", "error", "said"),
    [
        ("chian", {}, UnknownNameError, "did you mean 'chain'"),
        ("chain", {"dim": 4}, OptionError, "dim=4 was given"),
        ("chain", {"kernel": 4}, OptionError, r"\(4, 4\) was given with padding='same'"),
        ("chain", {"kernel": (3, 3, 3)}, OptionError, "in 2 dimensions takes 2 of at least 1"),
        ("chain", {"rank": 0}, OptionError, "rank=0 was given"),
        ("chain", {"rank": (2, 2)}, OptionError, "takes one number or 1"),
        ("dense", {"rank": 3}, OptionError, "format 'dense' in 2 dimensions has none"),
        ("chain", {"padding_mode": "mirror"}, UnknownNameError, "no padding mode named 'mirror'"),
        ("chain", {"padding_mode": "reflect", "transposed": True}, OptionError, "take 'zeros' alone"),
        ("chain", {"output_padding": 1}, OptionError, "only transposed"),
        ("chain", {"padding": "full"}, UnknownNameError, "no padding named 'full'"),
        ("chain", {"inputs": 0}, OptionError, "0 channels in and 4 out"),
    ],
)
def test_what_cannot_be_meant_is_refused(format, options, error, said):
    with pytest.raises(error, match=said):
        made(format, **({"kernel": 3} | options))


def test_a_rank_for_which_it_is_slower_than_dense_is_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_convolution("chain", 2, 16, 16, 5, 40)
    with pytest.warns(ScimlWarning, match=r"rank=41 was given.*6560 multiply-adds.*dense one 6400.*of at most 40"):
        make_convolution("chain", 2, 16, 16, 5, 41)
    with pytest.warns(ScimlWarning, match=r"rank=3 was given.*holds 7680 numbers.*of at most 2"):
        make_convolution("separable", 2, 16, 16, 5, 3)


def test_an_even_kernel_that_pytorch_pads_on_one_side_is_refused():
    with pytest.raises(OptionError, match=r"\(4, 4\) was given with padding='same'"):
        compress(nn.Conv2d(4, 4, 4, padding="same"), "chain")
    assert compress(nn.Conv2d(4, 4, 4, padding=2), "chain")(torch.zeros(1, 4, 6, 6)).shape == (1, 4, 7, 7)


def test_a_network_without_convolutions_is_refused():
    with pytest.raises(OptionError, match="without anything to compress"):
        compress(nn.Sequential(nn.Linear(3, 3), nn.Conv2d(3, 3, 1)), "chain")

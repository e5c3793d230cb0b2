"""What holds for every optimiser of the table: its state, the protocol, and Adam's own rules."""

import json
import math

import pytest
import torch

from sciml.errors import DivergenceError, OptionError
from sciml.optimize import OPTIMIZERS, Adam, Optimizer, pack_optimizer, unpack_optimizer

CASES = {
    "gauss_newton": ("gauss_newton", {}),
    "spring": ("gauss_newton", {"momentum": 0.5}),
    "matrix_free": ("gauss_newton", {"solve": "matrix_free", "rank": 5, "probes": 3, "iterations": 10}),
    "broyden": ("self_scaled_bfgs", {}),
    "bfgs": ("self_scaled_bfgs", {"variant": "bfgs"}),
    "lbfgs": ("lbfgs", {"history": 4}),
    "adam": ("adam", {"learning_rate": 1e-2}),
    "adam_cosine": ("adam", {"learning_rate": 1e-2, "schedule": "cosine", "steps": 9}),
}


def advance(optimizer, system, theta, steps):
    losses = []
    for _ in range(steps):
        step = optimizer.step(system, theta)
        theta = step.theta
        losses.append(step.loss)
    return theta, losses


@pytest.mark.parametrize("case", CASES)
def test_going_on_from_a_state_is_bitwise_the_same(case, network):
    """Through JSON text and copied tensors, before the first step and in the middle."""
    name, options = CASES[case]
    system, start = network
    whole = OPTIMIZERS[name](**options)
    assert isinstance(whole, Optimizer)
    theta = start
    for part in (0, 7, 6):
        theta, _ = advance(whole, system, theta, part)
        tensors = {key: tensor.clone() for key, tensor in whole.tensors().items()}
        handed_out, text = whole.tensors(), json.dumps(whole.values(), allow_nan=False)
        resumed = OPTIMIZERS[name](**options)
        resumed.restore(tensors, json.loads(text))
        assert json.dumps(resumed.values()) == text
        assert {k: t.tolist() for k, t in resumed.tensors().items()} == {k: t.tolist() for k, t in tensors.items()}
        expected, losses = advance(whole, system, theta, 5)
        found, again = advance(resumed, system, theta, 5)
        assert torch.equal(found, expected)
        assert again == losses
        assert all(torch.equal(handed_out[key], tensors[key]) for key in tensors)
        theta = expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_say_what_was_reached_and_write_to_nothing(name, network):
    system, theta = network
    optimizer, before = OPTIMIZERS[name](), theta.clone()
    step = optimizer.step(system, theta)
    assert optimizer.name == name
    assert torch.equal(theta, before)
    assert step.accepted
    assert not step.theta.requires_grad
    reached = theta if name == "adam" else step.theta
    assert step.loss == pytest.approx(float(system.value_and_gradient(reached)[0]), rel=1e-12)
    assert step.previous == pytest.approx(float(system.value_and_gradient(theta)[0]), rel=1e-12)
    assert all(isinstance(value, float) for value in step.details.values())
    assert float(system.value_and_gradient(step.theta)[0]) < step.previous


def test_adam_is_that_of_torch(network):
    system, start = network
    theta, _ = advance(Adam(learning_rate=3e-3), system, start, 20)
    parameter = start.clone().requires_grad_()
    twin = torch.optim.Adam([parameter], lr=3e-3)
    for _ in range(20):
        parameter.grad = system.value_and_gradient(parameter)[1]
        twin.step()
    assert torch.equal(theta, parameter.detach())


def test_adam_evaluates_once_a_step(network):
    system, start = network
    advance(Adam(), system, start, 20)
    assert system.gradients == 20


def test_adam_follows_its_schedule(network):
    system, theta = network
    rates = {}
    for schedule in ("constant", "cosine", "step"):
        adam = Adam(learning_rate=0.1, schedule=schedule, steps=4, factor=0.1)
        rates[schedule] = [adam.step(system, theta).details["learning_rate"] for _ in range(9)]
    assert rates["constant"] == [0.1] * 9
    expected = [0.05 * (1 + math.cos(math.pi * k / 4)) for k in range(5)] + [0.0] * 4
    assert rates["cosine"] == pytest.approx(expected, abs=1e-17)
    assert rates["step"] == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.001])


def test_adam_says_that_it_has_left_the_domain(differentiated):
    system = differentiated(lambda theta: torch.sqrt(theta), 1)
    start = torch.full((1,), 0.5, dtype=torch.float64)
    adam = Adam(learning_rate=1.0)
    step = adam.step(system, start)
    assert step.loss == step.previous
    with pytest.raises(DivergenceError, match="nan"):
        adam.step(system, step.theta)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "positive"),
        ({"schedule": "linear"}, "one of constant, cosine, step"),
        ({"steps": 0}, "a whole number of at least 1"),
        ({"factor": 2.0}, "positive and at most 1"),
    ],
)
def test_bad_options_of_adam_are_refused(options, message):
    (name,) = options
    with pytest.raises(OptionError, match=f"Option '{name}' of 'adam' is .*, but must be {message}"):
        Adam(**options)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: torch.optim.LBFGS(p, max_iter=3, line_search_fn="strong_wolfe"),
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    ],
)
def test_states_of_torch_come_back_bit_by_bit(make, network):
    system, start = network

    def run(optimizer, parameter, steps):
        def closure():
            value, parameter.grad = system.value_and_gradient(parameter)
            return value

        for _ in range(steps):
            optimizer.step(closure)

    parameter = start.clone().requires_grad_()
    optimizer = make([parameter])
    run(optimizer, parameter, 6)
    tensors, values = pack_optimizer(optimizer)
    other = parameter.detach().clone().requires_grad_()
    copy = make([other])
    unpack_optimizer(copy, tensors, json.loads(json.dumps(values)))
    run(optimizer, parameter, 5)
    run(copy, other, 5)
    assert torch.equal(parameter, other)

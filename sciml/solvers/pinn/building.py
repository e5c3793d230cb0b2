"""From options to the parts of a training: network, optimiser, sampler."""

from __future__ import annotations

import copy
from typing import Any

import torch

from sciml.nn import MLP, PhysicalNetwork, RandomFourierFeatures, Scales
from sciml.nn.periodic_inputs import InputMap
from sciml.optimize import LBFGS, Adam, GaussNewton, Optimizer, SelfScaledBFGS
from sciml.problem import Problem
from sciml.sampling import SAMPLERS, PointSampler, SamplingOptions, UserSampler
from sciml.solvers.pinn.adversarial_sampler import AdversarialSampler, AdversaryOptions
from sciml.solvers.pinn.options import PinnOptions

__all__ = ["build_model", "build_optimizer", "build_sampler"]


def build_model(
    problem: Problem, options: PinnOptions, scales: Scales, hard: bool, seed: int, device: torch.device | str
) -> PhysicalNetwork:
    """The network with scaling and conditions around it, on its device; a user's own module is copied."""
    dtype = getattr(torch, options.dtype)
    around: dict[str, Any] = {"unknown_scale": scales.unknowns, "hard": hard, "offset": scales.offset}
    if options.network != "mlp":
        network = copy.deepcopy(options.network)
    else:
        inputs = _inputs(problem)
        generator = torch.Generator().manual_seed(seed)
        features = None
        if options.features == "fourier":
            features = RandomFourierFeatures(
                inputs, options.fourier_features, sigma=options.fourier_sigma, generator=generator, dtype=dtype
            )
        widths = [inputs, *[options.width] * options.depth, problem.n_components]
        # Units whose bends are spread over the domain; those of placed features are moved afterwards.
        network = MLP(widths, options.activation, features=features, biases=1.0, generator=generator, dtype=dtype)
    return PhysicalNetwork(network, problem, **around).to(device=device, dtype=dtype)


def _inputs(problem: Problem) -> int:
    """How many numbers the network sees of a point: two along a periodic axis."""
    point = torch.as_tensor([[*problem.domain.lower, *([problem.time.start] if problem.evolves else [])]])
    upper = [*problem.domain.upper, *([problem.time.end] if problem.evolves else [])]
    return InputMap(point[0].numpy(), torch.as_tensor(upper).numpy(), problem)(point).shape[1]


def build_optimizer(options: PinnOptions) -> Optimizer:
    """The optimiser that was asked for."""
    if options.optimizer == "gauss_newton":
        return GaussNewton(solve=options.solve, acceleration=options.acceleration, momentum=options.momentum)
    if options.optimizer == "adam":
        return Adam(learning_rate=options.learning_rate, schedule=options.schedule, steps=options.n_steps)
    if options.optimizer == "lbfgs":
        return LBFGS()
    return SelfScaledBFGS(variant="bfgs" if options.optimizer == "ssbfgs" else "broyden")


def build_sampler(options: PinnOptions) -> PointSampler:
    """The sampler that was asked for; nothing is drawn yet."""
    budget = options.points if options.budget is None else options.budget
    shared = SamplingOptions(
        points=options.points,
        budget=budget,
        every=options.refresh_every,
        # Where nothing is replaced, no more than the budget has room for is ever added.
        add=min(options.add, budget) if options.full == "stop" else options.add,
        uniform_share=options.uniform_share,
        candidates=options.candidates,
        full=options.full,
    )
    if options.sampler == "aas":
        flow = AdversaryOptions(
            beta=options.beta,
            beta_scale=options.beta_scale,
            couplings=options.flow_couplings,
            width=options.flow_width,
            learning_rate=options.flow_learning_rate,
            steps=options.flow_steps,
            first_steps=options.flow_first_steps,
        )
        return AdversarialSampler(shared, flow)
    if options.sampler == "user":
        return UserSampler(shared, points=options.user_points)
    return SAMPLERS[options.sampler](shared)

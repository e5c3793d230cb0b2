"""Collocation points: where a residual is looked at."""

from sciml.sampling.covering import QuasiRandomSampler, UniformSampler
from sciml.sampling.draws import chosen_by_score, draw_by_score, inclusion_factor
from sciml.sampling.generators import generator_from, generator_values, own_generator
from sciml.sampling.leverage import LeverageSampler
from sciml.sampling.points import (
    ORIGINS,
    PointSet,
    checked_points,
    n_coordinates,
    quasi_random_points,
    timed,
    uniform_points,
)
from sciml.sampling.residual import R3Sampler, RadSampler, RarSampler, rad_density
from sciml.sampling.sampler import AdaptiveSampler, PointSampler, Sampler, SamplingContext, SamplingOptions
from sciml.sampling.user import UserSampler

__all__ = [
    "ORIGINS",
    "SAMPLERS",
    "AdaptiveSampler",
    "LeverageSampler",
    "PointSampler",
    "PointSet",
    "QuasiRandomSampler",
    "R3Sampler",
    "RadSampler",
    "RarSampler",
    "Sampler",
    "SamplingContext",
    "SamplingOptions",
    "UniformSampler",
    "UserSampler",
    "checked_points",
    "chosen_by_score",
    "draw_by_score",
    "generator_from",
    "generator_values",
    "inclusion_factor",
    "n_coordinates",
    "own_generator",
    "quasi_random_points",
    "rad_density",
    "timed",
    "uniform_points",
]

# By name, in the order in which they are listed; each has a `title`.
SAMPLERS: dict[str, type[PointSampler]] = {
    sampler.name: sampler
    for sampler in (
        UniformSampler,
        QuasiRandomSampler,
        RarSampler,
        RadSampler,
        R3Sampler,
        LeverageSampler,
        UserSampler,
    )
}

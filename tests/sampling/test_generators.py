"""States of generators: exact through JSON, and streams that are their own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sciml.errors import OptionError
from sciml.sampling import generator_from, generator_values, own_generator


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"])
def test_a_generator_goes_on_after_json(kind):
    generator = np.random.Generator(getattr(np.random, kind)(3))
    generator.integers(7, size=3, dtype=np.uint32)  # half of a number is left over
    again = generator_from(json.loads(json.dumps(generator_values(generator))))
    for draw in ("random", "normal", "permutation"):
        assert np.array_equal(getattr(generator, draw)(50), getattr(again, draw)(50))
    assert generator_values(generator) == generator_values(again)


def test_an_unknown_kind_is_refused():
    with pytest.raises(OptionError, match="generator 'RANDU'; known are"):
        generator_from({"bit_generator": "RANDU"})


def test_a_stream_of_its_own_moves_its_parent_on():
    parent = np.random.default_rng(0)
    first, second = own_generator(parent), own_generator(parent)
    assert abs(np.corrcoef(first.random(4000), second.random(4000))[0, 1]) < 0.05
    assert np.array_equal(
        own_generator(np.random.default_rng(0)).random(9), own_generator(np.random.default_rng(0)).random(9)
    )

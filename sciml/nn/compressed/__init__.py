"""Convolutions in compressed tensor formats, which are trained as they are: nothing dense comes before."""

from sciml.nn.compressed.building import make_convolution
from sciml.nn.compressed.compressing import Change, compress
from sciml.nn.compressed.formats import FORMATS, Chain, Convolution

__all__ = ["FORMATS", "Chain", "Change", "Convolution", "compress", "make_convolution"]

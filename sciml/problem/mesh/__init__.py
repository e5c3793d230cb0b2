"""Meshes as plain arrays: reading, checking, integrating, sampling, locating, refining."""

from .boxes import box_mesh
from .checking import check_mesh
from .data import MeshData
from .reading import read_mesh
from .refining import curve_mesh
from .topology import Facets
from .translating import MATCH, find_translation, matches
from .writing import region_arrays, to_meshio, write_mesh

__all__ = [
    "MATCH",
    "Facets",
    "MeshData",
    "box_mesh",
    "check_mesh",
    "curve_mesh",
    "find_translation",
    "matches",
    "read_mesh",
    "region_arrays",
    "to_meshio",
    "write_mesh",
]

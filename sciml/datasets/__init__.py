"""Data sets of operator learning: generated with solvers, brought in from other files, read back with their checksum."""

from sciml.datasets.dataset import Dataset, Samples, family_of, open_dataset
from sciml.datasets.generating import Generation, generate
from sciml.datasets.importing import import_arrays
from sciml.datasets.membership import belongs, inputs_of, outside

__all__ = [
    "Dataset",
    "Generation",
    "Samples",
    "belongs",
    "family_of",
    "generate",
    "import_arrays",
    "inputs_of",
    "open_dataset",
    "outside",
]

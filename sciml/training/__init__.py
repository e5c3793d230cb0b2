"""Training: the residuals of a declared problem over points, one state on disk, resuming, several processes."""

from sciml.training.checkpoint import checkpoint_folder, load_checkpoint, save_checkpoint
from sciml.training.collocation import Collocation
from sciml.training.course import Course, Verdict
from sciml.training.distributed import Distributed
from sciml.training.interrupt import Interrupts
from sciml.training.loop import Ending, Report, train
from sciml.training.state import Attributes, Generator, Identity, Part, TrainingState
from sciml.training.terms import Average, Term, condition_terms, equation_terms

__all__ = [
    "Attributes",
    "Average",
    "Collocation",
    "Course",
    "Distributed",
    "Ending",
    "Generator",
    "Identity",
    "Interrupts",
    "Part",
    "Report",
    "Term",
    "TrainingState",
    "Verdict",
    "checkpoint_folder",
    "condition_terms",
    "equation_terms",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]

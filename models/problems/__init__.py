r"""Problems in plain English with exact checkers: word problems and countdown. Standard library only.

record = next(generate("word", count=1, seed=7))
check(record, "… \boxed{42}")
"""

from models.problems.check import check, step_labels
from models.problems.generate import generate
from models.problems.record import KINDS, STEP_BREAK, Kind, Record, Split

__all__ = ["KINDS", "STEP_BREAK", "Kind", "Record", "Split", "check", "generate", "step_labels"]

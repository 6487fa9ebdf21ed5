"""What a problem is, and which of them training may see. It knows nothing of stories, numbers or models."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["word", "countdown"]
Split = Literal["train", "heldout"]
Record = dict[str, Any]

KINDS: tuple[Kind, ...] = ("word", "countdown")
STEP_BREAK = "\n\n"

_HELDOUT_SHARE = 8


class UnsuitableError(Exception):
    """The drawn numbers make no clean problem (a fraction, a negative or too large a value): draw again."""


@dataclass(frozen=True, slots=True)
class Equation:
    """One arithmetic step, written `left op right = result` without spaces.

    Attributes:
        left: First operand.
        op: One of `+ - * /`.
        right: Second operand.
        result: Exact value.
        needs: Indices of the earlier equations of the same problem whose results are operands here.
    """

    left: int
    op: str
    right: int
    result: int
    needs: tuple[int, ...] = ()

    def key(self) -> tuple[int, str, int, int]:
        """Identify the equation whatever the order of the operands of `+` and `*`."""
        if self.op in "+*":
            low, high = sorted((self.left, self.right))
            return (low, self.op, high, self.result)
        return (self.left, self.op, self.right, self.result)

    def __str__(self) -> str:
        return f"{self.left}{self.op}{self.right}={self.result}"


def split_of(identity: str) -> Split:
    """Tell which split a problem belongs to, from the hash of what makes it that problem.

    Membership hangs on the problem and not on the seed, so no seed can bring a training problem into the held-out
    split or the other way round. One problem in eight is held out.
    """
    digest = hashlib.sha256(identity.encode()).digest()
    return "heldout" if digest[0] % _HELDOUT_SHARE == 0 else "train"

"""The seed of every engine call, derived from the task's seed and from where the call stands in the search."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SEED_GAP = 256
"""Continuation ``i`` of a call uses ``seed + i``; derived seeds are this far apart so that calls never share one."""


def derive_seed(seed: int | None, purpose: str, prefix: Sequence[int], attempt: int = 0) -> int | None:
    """Gives one engine call its own seed.

    A node is known by the token ids of its path rather than by its number, so the text sampled at a node does not
    depend on the order in which replies arrived, and the same path never repeats text for two different purposes.

    Args:
        seed: The task's seed; None draws fresh randomness.
        purpose: What the call is for, such as ``expand`` or ``sample/3``.
        prefix: Token ids of prompt and path.
        attempt: 0 for the first try, 1 for its repetition.

    Returns:
        A multiple of ``SEED_GAP`` below 2^48 (exact as a JSON number), stable over processes and machines; None when
        the task has no seed.
    """
    if seed is None:
        return None
    digest = hashlib.blake2b(f"{seed}/{purpose}/{attempt}/".encode(), digest_size=5)
    digest.update(",".join(map(str, prefix)).encode())
    return int.from_bytes(digest.digest(), "big") * SEED_GAP

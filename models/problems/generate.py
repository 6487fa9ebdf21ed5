"""Streams of distinct problems, drawn from a seed and confined to one split."""

import random
from collections.abc import Callable, Iterator

from models.problems.countdown import make_countdown
from models.problems.record import Kind, Record, Split, UnsuitableError, split_of
from models.problems.word import make_word

_MAKERS: dict[Kind, Callable[[random.Random], tuple[str, Record]]] = {"word": make_word, "countdown": make_countdown}
_PATIENCE = 5_000  # draws in a row that bring nothing new


def generate(kind: Kind, count: int, seed: int, split: Split = "heldout") -> Iterator[Record]:
    """Yield `count` distinct problems (train: distinct questions); the same arguments give the same problems.

    Args:
        kind: `word` or `countdown`.
        count: How many, 0 or more.
        seed: Any integer.
        split: `train` is what the recipe may learn from, `heldout` what it never sees. A problem's split follows from
            the hash of its question (word) or of its numbers and target (countdown), so the two share no problem
            whatever the seeds.

    Raises:
        ValueError: `kind` is unknown, or there are not `count` distinct problems to be found.
    """
    if kind not in _MAKERS:
        raise ValueError(f"unknown kind {kind!r}: choose one of {', '.join(_MAKERS)}")
    rng = random.Random(f"{kind} {seed}")
    seen: set[str] = set()
    misses = 0
    while len(seen) < count:
        try:
            identity, record = _MAKERS[kind](rng)
        except UnsuitableError:
            continue
        # Few problems make up countdown: training meets one in several wordings, an examination never twice.
        distinct = identity if split == "heldout" else record["question"]
        if distinct in seen or split_of(identity) != split:
            misses += 1
            if misses > _PATIENCE:
                raise ValueError(f"only {len(seen)} distinct {kind} problems found, {count} wanted")
            continue
        seen.add(distinct)
        misses = 0
        yield {"id": f"{kind}-{seed}-{len(seen) - 1}", **record}

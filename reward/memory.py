"""Step scores that are remembered, so that the beginning of a path that was scored once costs nothing again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

REMEMBERED = 65_536
"""Scores; about 10 MB."""


@dataclass(slots=True, eq=False)
class ScoreMemory:
    """The latest scores by a digest of what was scored. Reward models are functions: a score never changes.

    Args:
        most: How many scores are kept, at least 1; the longest unused go first.
    """

    most: int = REMEMBERED
    _scores: OrderedDict[bytes, float] = field(init=False, default_factory=OrderedDict)

    def recall(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """Those of the keys that are known."""
        known = {key: self._scores[key] for key in keys if key in self._scores}
        for key in known:
            self._scores.move_to_end(key)
        return known

    def remember(self, scores: Mapping[bytes, float]) -> None:
        """Keeps scores."""
        self._scores.update(scores)
        while len(self._scores) > self.most:
            self._scores.popitem(last=False)


def beginnings(pieces: Iterable[bytes]) -> list[bytes]:
    """A digest of everything up to and including each piece. Pieces count with their length: none runs into another."""
    running = hashlib.blake2b(digest_size=16)
    digests: list[bytes] = []
    for piece in pieces:
        running.update(len(piece).to_bytes(8, "big") + piece)
        digests.append(running.copy().digest())
    return digests

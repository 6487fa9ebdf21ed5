"""Which server serves a search: rendezvous hashing with bounded load. Pure functions over names and numbers.

All calls of one search go to the server that ranks highest for it, whose cache then holds its tree. When a server
comes or goes, only the searches that it ranks or ranked highest for move (Thaler and Ravishankar 1998). A server whose
load lies too far above the mean is passed over, and the search's calls go to the next in its own order (bounded loads:
Mirrokni, Thorup and Zadimoghaddam, 1608.01350), which again is the same for all of them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping


def rank(key: str, name: str) -> int:
    """How high a server ranks for a key; the same on every gateway."""
    return int.from_bytes(hashlib.blake2b(f"{key}\n{name}".encode(), digest_size=8).digest(), "big")


def ranked(key: str, names: Collection[str]) -> list[str]:
    """Servers in the order in which a key tries them."""
    return sorted(names, key=lambda name: (-rank(key, name), name))


def bound(loads: Mapping[str, int], weight: int, factor: float, spill_from: int) -> int:
    """The load that no server may exceed by taking on ``weight`` more: ``factor`` times the mean, rounded up.

    ``spill_from`` is a floor: a fleet with next to nothing to do has no hot servers.
    """
    mean = (sum(loads.values()) + weight) / len(loads)
    return max(spill_from, math.ceil(factor * mean))


def choose(key: str, loads: Mapping[str, int], weight: int, factor: float, spill_from: int) -> str:
    """The server for a call.

    Args:
        key: What the call belongs to.
        loads: Open continuations by server, at least one server.
        weight: Continuations of the call, at least 1.
        factor: How far above the mean a load may lie, at least 1.
        spill_from: Load up to which no server is hot.

    Returns:
        The first in the key's order that stays within the bound; the least loaded where a call is too large for any.
    """
    most = bound(loads, weight, factor, spill_from)
    order = ranked(key, loads)
    fitting = (name for name in order if loads[name] + weight <= most)
    return next(fitting, min(order, key=lambda name: loads[name]))

"""Which server serves a search: what rendezvous hashing with bounded load promises, for any names and loads."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as some

from engine.remote.routing import bound, choose, ranked

names = some.lists(
    some.integers(0, 999).map(lambda i: f"http://10.0.{i // 250}.{i % 250}:8000"), unique=True, min_size=2
)
keys = some.uuids().map(str)


@settings(deadline=None)  # the machine is shared
@given(names, keys)
def test_the_order_depends_on_key_and_names_alone(servers: list[str], key: str) -> None:
    """Every gateway tries the servers in the same order, however it came to know them."""
    assert ranked(key, servers) == ranked(key, list(reversed(servers)))
    assert sorted(ranked(key, servers)) == sorted(servers)


@settings(deadline=None)  # the machine is shared
@given(names, some.lists(keys, min_size=1, max_size=50), some.data())
def test_a_server_that_goes_moves_its_own_searches_only(
    servers: list[str], searches: list[str], data: some.DataObject
) -> None:
    """Without one server every search stays where it was, but for those of that server; and they go to their next."""
    gone = data.draw(some.sampled_from(servers))
    left = [server for server in servers if server != gone]
    for search in searches:
        before, after = ranked(search, servers), ranked(search, left)
        assert after == [server for server in before if server != gone]


@settings(deadline=None)  # the machine is shared
@given(names, some.lists(keys, min_size=1, max_size=50))
def test_a_server_that_comes_takes_and_swaps_nothing(servers: list[str], searches: list[str]) -> None:
    """A search moves to a new server or stays; it never moves between old ones."""
    *old, new = servers
    for search in searches:
        assert ranked(search, servers)[0] in {ranked(search, old)[0], new}


@settings(deadline=None)  # the machine is shared
@given(names, some.lists(some.tuples(keys, some.integers(1, 8)), max_size=60), some.floats(1, 3), some.integers(0, 40))
def test_no_server_exceeds_the_bound(
    servers: list[str], calls: list[tuple[str, int]], factor: float, floor: int
) -> None:
    """Calls are placed within ``factor`` times the mean (or the floor); one too large for any goes to the idlest."""
    loads = dict.fromkeys(servers, 0)
    for key, weight in calls:
        most = bound(loads, weight, factor, floor)
        chosen = choose(key, loads, weight, factor, floor)
        assert loads[chosen] + weight <= most or loads[chosen] == min(loads.values())
        loads[chosen] += weight


@settings(deadline=None)  # the machine is shared
@given(names, keys, some.integers(1, 8), some.floats(1, 3))
def test_single_calls_always_fit(servers: list[str], key: str, rounds: int, factor: float) -> None:
    """With calls of weight one the bound holds always: the largest load is at most ceil(factor × mean)."""
    loads = dict.fromkeys(servers, 0)
    for number in range(rounds * len(servers)):
        loads[choose(f"{key}{number % 3}", loads, 1, factor, 0)] += 1
        assert max(loads.values()) <= math.ceil(factor * sum(loads.values()) / len(loads))


def test_a_quiet_fleet_keeps_a_search_on_one_server() -> None:
    """Below the floor no server is hot: the calls of one search all go to its first."""
    loads = {"a": 0, "b": 0, "c": 0}
    first = ranked("tree", loads)[0]
    for _ in range(32):
        assert choose("tree", loads, 1, 1.25, 32) == first
        loads[first] += 1
    # 33 calls: the mean is 11, and 1.25 times it 13.75; the floor of 32 is full.
    assert choose("tree", loads, 1, 1.25, 32) == ranked("tree", loads)[1]


def test_searches_spread_evenly() -> None:
    """Of 9000 searches each of three servers gets its third; four standard deviations are 179."""
    servers = ["http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000"]
    found = Counter(ranked(f"search-{number}", servers)[0] for number in range(9000))
    assert all(abs(count - 3000) < 4 * math.sqrt(9000 * 1 / 3 * 2 / 3) for count in found.values())

"""What a started server holds is set aside from garbage collection, anew each time that its engines come up."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import uvicorn

from server.process import SearchServer
from server.runtime import Phase
from tests.server.process import ROOT

_PROGRAM = """
import gc
from server.heap import settle_heap

class Ring:
    def __init__(self):
        self.own, self.kept = self, [None] * 10

gc.disable()
kept, lost = Ring(), Ring()
del lost
settle_heap()
rings = [each for each in gc.get_objects(generation=None) if isinstance(each, Ring)]
assert gc.get_freeze_count() > 1000, gc.get_freeze_count()
assert rings == [], "what is set aside is in no generation"
del kept
settle_heap()
gc.unfreeze()
assert not [each for each in gc.get_objects() if isinstance(each, Ring)], "what was set aside is collected next time"
"""


def test_the_heap_is_collected_and_then_set_aside() -> None:
    """Garbage goes, the rest is out of the collector's sight; what dies there goes the next time."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_each_time_that_the_engines_come_up_is_told_once() -> None:
    """At the start and after a recovery, not at every tick."""
    runtime = SimpleNamespace(phase=Phase.STARTING)
    told: list[Phase] = []
    config = uvicorn.Config(app=lambda *_: None, log_config=None)
    server = SearchServer(config, runtime, lambda: None, on_up=lambda: told.append(runtime.phase))  # type: ignore[arg-type]
    for phase in (Phase.STARTING, Phase.READY, Phase.READY, Phase.RECOVERING, Phase.RECOVERING, Phase.READY):
        runtime.phase = phase
        await server.on_tick(1)
    assert told == [Phase.READY, Phase.READY]

"""Engines that die, are restarted, are given up while they start, or lose their parent."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.settings import EngineSettings
from engine.vllm_engine import VllmEngine
from mcts.errors import EngineDead
from mcts.ports import SampleRequest, Sampling

pytestmark = pytest.mark.vllm

LONG = SampleRequest((65, 66, 67), n=2, max_tokens=400, sampling=Sampling(ignore_eos=True))


def lives(process_id: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_killed_engine_is_told_at_once_and_can_be_started_again(
    tiny_models: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Calls under way fail with ``EngineDead`` within a second, and so do later ones, until the engine is restarted.

    The death is logged once, and the engine's own log is kept to be read.
    """
    engine = VllmEngine(EngineSettings(str(tiny_models[0]), kv_cache_gib=0.1))
    await engine.start()
    call = asyncio.create_task(engine.sample(LONG))
    while not engine.process.busy:
        await asyncio.sleep(0.01)
    os.kill(engine.process.process_ids[0], signal.SIGKILL)
    began = time.perf_counter()
    with pytest.raises(EngineDead):
        await call
    assert time.perf_counter() - began < 1.0
    assert not engine.healthy
    with pytest.raises(EngineDead):
        await engine.sample(LONG)
    (death,) = [record.getMessage() for record in caplog.records if "died" in record.getMessage()]
    assert engine.info.log_path in death
    await engine.close()
    assert os.path.exists(engine.info.log_path)  # noqa: ASYNC240 - one look at /tmp
    os.unlink(engine.info.log_path)
    await engine.start()
    await engine.warm_up()
    assert engine.healthy
    (process_id,) = engine.process.process_ids
    log = engine.info.log_path
    await engine.close()
    await engine.close()
    assert not lives(process_id)
    assert not os.path.exists(log)  # noqa: ASYNC240 - one look at /tmp


async def test_start_that_is_cancelled_leaves_nothing(tiny_models: tuple[Path, Path]) -> None:
    """Giving up while the model loads ends the engine's process."""
    engine = VllmEngine(EngineSettings(str(tiny_models[0]), kv_cache_gib=0.1))
    before = set(multiprocessing.active_children())
    task = asyncio.create_task(engine.start())
    while set(multiprocessing.active_children()) <= before and not task.done():
        await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not engine.healthy
    assert set(multiprocessing.active_children()) <= before


SCRIPT = """
import asyncio, sys
from engine.settings import EngineSettings
from engine.vllm_engine import VllmEngine

async def main():
    engine = VllmEngine(EngineSettings(sys.argv[1], kv_cache_gib=0.1))
    await engine.start()
    print(*engine.process.process_ids, flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_engine_does_not_outlive_a_killed_server(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    """After SIGKILL of the server no engine is left to hold memory."""
    script = tmp_path / "serve.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    with subprocess.Popen(
        [sys.executable, str(script), str(tiny_models[0])], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        engine = int(server.stdout.readline())
        assert lives(engine)
        server.kill()
    deadline = time.monotonic() + 5
    while lives(engine) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(engine)

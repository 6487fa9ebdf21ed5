"""Engines that die, are restarted, are given up while they start, or lose their parent."""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.pair import EnginePair
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


async def until_sick(engine: VllmEngine, seconds: float) -> None:
    """Waits until an engine is no longer healthy, looking as often as a server does."""
    end = time.monotonic() + seconds
    while engine.healthy:
        assert time.monotonic() < end, "it is still taken for healthy"
        await asyncio.sleep(0.1)


async def test_an_engine_that_hangs_or_runs_out_of_memory_is_started_again(tiny_models: tuple[Path, Path]) -> None:
    """A silent one is killed, which ends its calls; one that gets no memory dies of itself. Either is as one killed."""
    engine = VllmEngine(EngineSettings(str(tiny_models[0]), kv_cache_gib=0.1, hang_seconds=1.5))
    pair = EnginePair(engine)
    await pair.start()
    try:
        call = asyncio.create_task(engine.sample(LONG))
        while not engine.process.busy:
            await asyncio.sleep(0.01)
        os.kill(engine.process.process_ids[0], signal.SIGSTOP)
        await until_sick(engine, 10)
        assert engine.process.hung
        await pair.revive()
        with pytest.raises(EngineDead):
            await call
        assert pair.healthy
        assert len((await engine.sample(LONG))[0].token_ids) == 400

        starving = engine.process.process_ids[0]
        resource.prlimit(starving, resource.RLIMIT_AS, (2**20, 2**20))
        wide = dataclasses.replace(LONG, prefix=tuple(range(65, 90)) * 10, n=64, max_tokens=200)
        with pytest.raises(EngineDead):
            await engine.sample(wide)
        assert not pair.healthy
    finally:
        await pair.close()


def listening_addresses(process_ids: Sequence[int]) -> set[str]:
    """The addresses at which processes listen over TCP, as /proc writes them."""
    inodes = {
        os.readlink(link) for pid in process_ids for link in Path(f"/proc/{pid}/fd").glob("*") if link.is_symlink()
    }
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].partition(":")[0])
    return found


@pytest.mark.asyncio(loop_scope="session")
async def test_cve_2025_30202_engines_listen_on_the_loopback_alone(tiny_engines: EnginePair) -> None:
    """Whatever vLLM and torch open between their processes is not to be reached from another machine."""
    engines = [tiny_engines.generation.process, tiny_engines.reward.process if tiny_engines.reward else None]
    process_ids = [os.getpid(), *(pid for engine in engines if engine for pid in engine.process_ids)]
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    assert listening_addresses(process_ids) <= loopback


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

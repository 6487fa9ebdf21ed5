"""Real vLLM servers on this machine's processor, each a process group of its own on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 900.0  # 20 s on an idle machine, minutes on a busy one

QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "OMP_NUM_THREADS": "1",  # several engines share the cores
    # vLLM would have a worker of each engine bound to one core, the same one: the others would lie idle.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}

GENERATES = (
    "--model", str(ROOT / "models" / "abacus"), "--served-model-name", "abacus", "--block-size", "32",
    "--enable-prefix-caching", "--no-enable-chunked-prefill", "--enforce-eager", "--max-num-seqs", "64",
    "--enable-prompt-tokens-details", "--distributed-executor-backend", "uni",
)  # fmt: skip
"""Flags of a server of the bundled model. Seeded requests end vLLM 0.32 on a CPU when prompts are read in pieces."""


@dataclass(eq=False)
class VllmServer:
    """One server and its log."""

    process: asyncio.subprocess.Process
    url: str
    log: Path

    def kill(self) -> None:
        """Ends it and its engine at once, by SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def ready(self) -> None:
        """Waits until it answers.

        Raises:
            RuntimeError: It ended instead.
        """
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                if self.process.returncode is not None:
                    raise RuntimeError(f"the server did not start: {self.log.read_text(errors='replace')[-2000:]}")
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.25)


@asynccontextmanager
async def vllm_server(*flags: str) -> AsyncIterator[VllmServer]:
    """Starts a server with these flags; it need not be ready yet. It is ended afterwards."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
    log = Path(tempfile.mkdtemp(prefix="espalier-vllm-")) / "server.log"
    command = (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port))
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command, *flags, cwd=ROOT, env={**os.environ, **QUIET}, stdout=written, stderr=written,
            start_new_session=True,
        )  # fmt: skip
    server = VllmServer(process, f"http://127.0.0.1:{port}", log)
    try:
        yield server
    finally:
        server.kill()
        await process.wait()


@asynccontextmanager
async def generating(count: int, *flags: str) -> AsyncIterator[list[VllmServer]]:
    """So many servers of the bundled model, with these flags beside their own, all ready."""
    async with AsyncExitStack() as held:
        servers = [await held.enter_async_context(vllm_server(*GENERATES, *flags)) for _ in range(count)]
        await asyncio.gather(*(server.ready() for server in servers))
        yield servers

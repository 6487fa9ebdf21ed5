"""The parts of a fleet: real vLLM servers, real gateways, each a process group on a host of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.affinity.servers import GENERATES, QUIET, ROOT
from benchmarks.fleet.network import Host

MODELS = ROOT / "models"
PORT = 8000
START_SECONDS, STOP_SECONDS = 600.0, 120.0

_VLLM = (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "0.0.0.0", "--port", str(PORT))  # noqa: S104 - in a namespace

ENGINE = (*_VLLM, *GENERATES, "--shutdown-timeout", "45")
REWARD = (
    *_VLLM, "--model", str(MODELS / "abacus-prm"), "--served-model-name", "abacus-prm", "--runner", "pooling",
    "--block-size", "32", "--enforce-eager", "--max-num-seqs", "64", "--distributed-executor-backend", "uni",
    "--shutdown-timeout", "45",
    "--pooler-config", '{"task": "token_classify", "tok_pooling_type": "STEP", "step_tag_id": 3}',
)  # fmt: skip
"""``abacus-prm`` has its tag elsewhere than the family's other models, whose tag vLLM supposes."""

GATEWAY = (
    sys.executable, "-c", "from server.cli import main; main()", "serve", "--host", "0.0.0.0", "--port", str(PORT),  # noqa: S104
    "--engine-url", f"dns+http://engines.fleet:{PORT}", "--reward-url", f"dns+http://rewards.fleet:{PORT}",
    "--tokenizer", str(MODELS / "abacus"), "--reward-tokenizer", str(MODELS / "abacus-prm"),
    "--drain-seconds", "60", "--engine-resolve-seconds", "1", "--log-format", "json", "--no-trace-texts",
)  # fmt: skip
"""Of the settings that matter here two are not the defaults: a longer drain, and names looked up every second."""


@dataclass(eq=False)
class Part:
    """One program on one host.

    Args:
        host: Where.
        command: What.
        health: Path that answers 200 once it is ready.
        log: Where its output goes.
    """

    host: Host
    command: tuple[str, ...]
    health: str
    log: Path
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host.ip}:{PORT}"

    async def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            RuntimeError: It ended instead.
            TimeoutError: It does not get ready.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ESPALIER_")}
        own = {"VLLM_HOST_IP": self.host.ip, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        with self.log.open("ab") as written:
            self._process = await asyncio.create_subprocess_exec(
                *self.host.command(*self.command), cwd=ROOT, env=kept | QUIET | own, stdin=asyncio.subprocess.DEVNULL,
                stdout=written, stderr=written, start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while not await self._answers(client):
                if self._process.returncode is not None:
                    raise RuntimeError(f"{self.host.ip} did not start: {self.log.read_text(errors='replace')[-2000:]}")
                await asyncio.sleep(0.25)

    async def kill(self) -> None:
        """Ends it and all that it started at once, by SIGKILL."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> int:
        """Ends it as an operator does, by SIGTERM to its first process; the exit code.

        Raises:
            TimeoutError: It does not end.
        """
        assert self._process is not None  # noqa: S101 - started
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()

    async def _answers(self, client: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(self.url + self.health)).status_code == httpx.codes.OK
        return False

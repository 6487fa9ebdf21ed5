"""What is looked at before a server is sent anything, and how a lack is told."""

from __future__ import annotations

from typing import Any

import pytest

from engine.tokenizer import HFTokenizer
from mcts.errors import StartupError
from tests.engine.fake_vllm import ANSWER, FakeVllm, fakes
from tests.engine.remote_fleet import answered, ask, engine


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gives_logprobs": False}, r"gives no log-probabilities"),
        ({"model": "other"}, r"serves no model 'models/abacus'; it serves: other"),
    ],
)
async def test_a_server_that_lacks_something_ends_the_start(
    tokenizer: HFTokenizer, changes: dict[str, Any], message: str
) -> None:
    """The error names the setting, the server and what is missing."""
    server = FakeVllm(tokenizer, **changes)
    async with fakes(server):
        with pytest.raises(StartupError, match=rf"engine_url: {server.url}.*{message}"):
            async with engine(tokenizer, server, model="models/abacus"):
                pass


async def test_another_tokenizer_is_refused(tokenizer: HFTokenizer) -> None:
    """A server that cuts text otherwise would read other prompts than were meant."""
    server = FakeVllm(_shifted(tokenizer))
    async with fakes(server):
        with pytest.raises(StartupError, match="another tokenizer"):
            async with engine(tokenizer, server):
                pass


def _shifted(tokenizer: HFTokenizer) -> HFTokenizer:
    """The same tokenizer, but for its encoding."""
    other = HFTokenizer(tokenizer._loaded)
    other.encode = lambda text, **_: [token + 1 for token in tokenizer.encode(text)]  # type: ignore[method-assign]
    return other


async def test_a_refused_key_names_the_setting(tokenizer: HFTokenizer) -> None:
    """401 at the start says which setting holds the key; the right key is sent as a bearer token."""
    server = FakeVllm(tokenizer, key="sesame")
    async with fakes(server):
        with pytest.raises(StartupError, match="key was refused with 401; see engine_api_key"):
            async with engine(tokenizer, server, api_key="open", start_seconds=0.2):
                pass
        async with engine(tokenizer, server, api_key="sesame") as remote:
            assert await answered(remote, ask(tokenizer)) == ANSWER


async def test_nobody_there_is_told_in_time(tokenizer: HFTokenizer) -> None:
    """The start waits for a server, but not for ever."""
    server = FakeVllm(tokenizer, port=9)
    with pytest.raises(StartupError, match=r"engine_url: no engine answered in .*127\.0\.0\.1:9: no connection"):
        async with engine(tokenizer, server, start_seconds=0.3):
            pass

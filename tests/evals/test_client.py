"""Rules of reading replies: what departs from what was asked is an error."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from evals.client import ask_all, read_reply
from evals.runs import Run, run
from reward.answers import StandardAnswers
from tests.evals.rows import candidate, reply

ASKED = run("uct 4", "abacus", "uct", reward="prm", votes=("weighted", "max_value"))
FOUND = [candidate("one", "1", 0.3), candidate("one again", "1", 0.4), candidate("two", "2", 0.6)]


async def error_of(given: dict[str, Any], asked: Run = ASKED) -> str | None:
    """What is wrong with a reply."""
    return (await read_reply(asked, 0, given, 0.5, StandardAnswers())).error


async def test_a_good_reply_is_kept_with_its_votes() -> None:
    """Text, cost and the winner of every vote that the run asks for."""
    read = await read_reply(ASKED, 3, reply("one again", FOUND), 0.5, StandardAnswers())
    assert (read.question, read.text, read.tokens, read.engine_calls, read.seconds) == (3, "one again", 90, 7, 0.5)
    assert (read.vote, read.recast) == ("weighted", {"weighted": "one again", "max_value": "two"})
    assert read.error is None


async def test_a_reply_of_another_strategy_is_an_error() -> None:
    """No strategy falls back to another unseen."""
    assert await error_of(reply("one again", FOUND, strategy="direct")) == "asked for uct, searched by direct"


async def test_a_reply_scored_by_another_reward_is_an_error() -> None:
    """Nor does a reward."""
    told = await error_of(reply("one again", FOUND, reward="confidence"))
    assert told == "asked for reward prm, scored by confidence"


async def test_a_search_that_failed_is_an_error() -> None:
    """The best answer so far is not what was to be measured."""
    assert "engine failed" in str(await error_of(reply("one again", FOUND, stop_reason="failed")))


async def test_a_vote_that_does_not_give_the_answer_is_an_error() -> None:
    """The search's own vote, taken again, must come to the reply's text: else the others could not be trusted."""
    assert "does not give the reply's answer" in str(await error_of(reply("two", FOUND)))


async def test_votes_need_candidates() -> None:
    """A server that lists none cannot be asked for votes; a run without votes needs none."""
    assert await error_of(reply("one", None)) == "the reply lists no candidates"
    assert await error_of(reply("one", None), run("uct 4", "abacus", "uct", reward="prm")) is None


@pytest.mark.parametrize("broken", [httpx.ConnectError("gone"), httpx.Response(503, text="not ready")])
async def test_a_question_that_gets_no_answer_is_an_error_and_the_rest_go_on(
    broken: httpx.Response | Exception,
) -> None:
    """A lost connection or a refusal counts on its own question only."""

    def serve(request: httpx.Request) -> httpx.Response:
        if b"second" not in request.content:
            return httpx.Response(200, json=reply("one again", FOUND))
        if isinstance(broken, Exception):
            raise broken
        return broken

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://test") as client:
        asked = ask_all(client, ASKED, ["first", "second", "third"], concurrency=2, answers=StandardAnswers())
        replies = sorted([one async for one in asked], key=lambda one: one.question)
    assert [one.error is None for one in replies] == [True, False, True]

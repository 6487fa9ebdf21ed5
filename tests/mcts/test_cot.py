"""Chain of thought: where the instruction goes, and that it is there."""

import pytest

from mcts.budget import Budget, StopReason
from mcts.errors import InvalidRequest
from mcts.events import AnswerText, SearchStarted
from mcts.ports import Message, Sampling
from mcts.strategies.cot import INSTRUCTION, LONGEST_INSTRUCTION, CotOptions, cot, instructed
from tests.mcts.toys import garden, search

USER = Message("user", "17 + 25?")


def test_the_instruction_becomes_the_system_turn():
    """A chat without a system turn gets one in front; the other turns stay as they are."""
    assert instructed([USER], "Think.") == (Message("system", "Think."), USER)


def test_the_instruction_joins_a_system_turn():
    """What the client's own system turn says comes first."""
    chat = [Message("system", "你是数学老师。🧮"), USER]
    assert instructed(chat, "Think.") == (Message("system", "你是数学老师。🧮\n\nThink."), USER)


def test_a_beginning_of_the_assistants_stays_last():
    """A chat that is to be continued still ends with what is continued."""
    chat = [USER, Message("assistant", "First,")]
    assert instructed(chat, "Think.")[-1] == chat[-1]


def test_cot_decodes_plainly_what_was_instructed():
    """One call on the instructed prompt, streamed as it is written, under the strategy's own name."""
    where = garden()
    where.messages = instructed(where.messages, INSTRUCTION)
    result = search(cot, where, CotOptions(), sampling=Sampling(temperature=0))
    assert result.winners[0].answer == "1"
    assert (result.engine_calls, result.stop_reason) == (1, StopReason.SIMULATIONS)
    assert "".join(event.text for event in where.seen(AnswerText)) == result.winners[0].path.text
    assert where.seen(SearchStarted)[0].strategy == "cot"
    assert where.engine.tokenizer.decode(where.engine.requests[0].prefix).startswith(f"<system>{INSTRUCTION}<user>?")


def test_cot_keeps_the_budget():
    """A token budget cuts the reasoning where it stands."""
    where = garden()
    where.messages = instructed(where.messages, INSTRUCTION)
    result = search(cot, where, CotOptions(), budget=Budget(tokens=1))
    assert (result.generated_tokens, result.stop_reason) == (1, StopReason.TOKENS)


@pytest.mark.parametrize("messages", [(), (USER,), instructed([USER], "Another instruction.")])
def test_a_prompt_without_the_instruction_is_refused(messages):
    """Plain decoding does not pass for a chain of thought."""
    where = garden()
    where.messages = messages
    with pytest.raises(InvalidRequest):
        search(cot, where, CotOptions())
    assert where.engine.calls == 0


@pytest.mark.parametrize("text", ["", " \n", "x" * (LONGEST_INSTRUCTION + 1)])
def test_a_senseless_instruction_is_refused_by_name(text):
    """The option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        CotOptions(text)
    assert refused.value.param == "search.instruction"

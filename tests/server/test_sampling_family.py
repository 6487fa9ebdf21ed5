"""Chain of thought and the samplers over HTTP."""

from __future__ import annotations

from engine.scripted import ScriptedEngine
from mcts.strategies.cot import INSTRUCTION
from tests.server.service import Service, serving
from tests.server.test_streaming import deltas, kinds


def prompt_of(service: Service) -> str:
    """The prompt of the latest call."""
    return service.engine.tokenizer.decode(service.engine.requests[-1].prefix)


async def test_cot_asks_for_the_reasoning_in_the_system_turn(service: Service) -> None:
    """The preset's instruction is rendered by the template; a text of the client's own takes its place."""
    await service.answer("3 and 4", model="abacus:cot")
    assert prompt_of(service) == f"<system>{INSTRUCTION}<user>3 and 4<assistant>"
    reply = await service.answer("三 🌳", search={"strategy": "cot", "instruction": "一步一步想。"})
    assert prompt_of(service) == "<system>一步一步想。<user>三 🌳<assistant>"
    assert reply["usage"]["prompt_tokens"] == len(service.engine.requests[-1].prefix)
    assert (reply["search"]["strategy"], reply["search"]["reward"]) == ("cot", None)


async def test_a_prompt_that_the_instruction_makes_too_long_is_refused() -> None:
    """The instruction counts as prompt before the search begins."""
    async with serving(ScriptedEngine()) as service:
        limit = service.runtime.backend.max_model_len
        question = "x" * (limit - 20)
        assert (await service.ask(question, model="abacus:direct", max_tokens=1)).status_code == 200
        error = await service.refusal(400, question, model="abacus:cot", max_tokens=1)
    assert error["code"] == "context_length_exceeded"


async def test_an_instruction_of_blanks_is_refused_by_name(service: Service) -> None:
    """The option's own check is the client's error."""
    error = await service.refusal(400, search={"strategy": "cot", "instruction": "  "})
    assert error["param"] == "search.instruction"


async def test_cot_streams_its_text_as_it_is_written(service: Service) -> None:
    """As plain decoding: content from the first piece on, no progress lines."""
    events = await service.stream(model="abacus:cot")
    assert set(kinds(events)) == {"role", "content", "finish", "[DONE]"}
    assert kinds(events).count("content") > 1
    assert "boxed" in deltas(events, "content")

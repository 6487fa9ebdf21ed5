"""LangChain's ``ChatOpenAI``: invoked, streamed, in batches, with n, log-probabilities, structured output and tools."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from outcome import run_checks
from pydantic import BaseModel, Field

URL = os.environ["ESPALIER_URL"]
QUESTION = "A box holds 12 pens. Ann buys 3 boxes and loses 4 pens. How many are left?"


class Tell(BaseModel):
    """Tells the answer."""

    answer: int = Field(ge=0, le=999)


def model(preset: str = "direct", **fields: object) -> ChatOpenAI:
    """A chat model on one preset."""
    return ChatOpenAI(
        base_url=f"{URL}/v1", api_key="none", model=f"abacus:{preset}", max_retries=0, timeout=120, **fields
    )


def plain() -> None:
    """With search settings in extra_body."""
    search = {"strategy": "uct", "budget": {"simulations": 4}}
    reply = model("uct-mini-32", extra_body={"search": {"budget": search["budget"]}}).invoke(QUESTION)
    assert reply.content
    assert reply.usage_metadata["output_token_details"]["reasoning"] > 0


def streamed() -> None:
    """Pieces of text, and the usage at the end."""
    pieces = list(model(stream_usage=True).stream(QUESTION))
    assert "".join(piece.content for piece in pieces)
    assert any(piece.usage_metadata for piece in pieces)


async def batched() -> None:
    """Eight at once."""
    replies = await model().abatch([f"{QUESTION} ({number})" for number in range(8)])
    assert all(reply.content for reply in replies)


def weighed() -> None:
    """Log-probabilities in the reply's metadata."""
    reply = model(logprobs=True, top_logprobs=2).invoke(QUESTION)
    assert reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]


def several() -> None:
    """N answers."""
    found = model("majority", n=2, temperature=1.2).generate([[HumanMessage(QUESTION)]])
    assert 1 <= len(found.generations[0]) <= 2


def structured() -> None:
    """By JSON schema, and by a call of a tool."""
    for method in ("json_schema", "function_calling"):
        reply = model("majority").with_structured_output(Tell, method=method).invoke(QUESTION)
        assert isinstance(reply, Tell), method


def tools() -> None:
    """A call and what it gave, sent back."""
    bound = model().bind_tools([Tell], tool_choice="any")
    made = bound.invoke(QUESTION)
    (call, *_) = made.tool_calls
    assert call["name"] == "Tell"
    given = [ToolMessage("right", tool_call_id=each["id"]) for each in made.tool_calls]
    assert model().invoke([HumanMessage(QUESTION), made, *given]) is not None


CHECKS = {
    "plain": plain,
    "streamed": streamed,
    "async batch": batched,
    "logprobs": weighed,
    "n": several,
    "structured output": structured,
    "tools": tools,
}

if __name__ == "__main__":
    version = importlib.metadata.version("langchain-openai")
    asyncio.run(run_checks("LangChain ChatOpenAI", version, CHECKS))

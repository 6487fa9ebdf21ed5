"""Text to token ids and back, as the served model does it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from server.assignments import find_preset, known_ids
from server.backend import Backend
from server.chats import rendered, turns
from server.responses import ERRORS
from server.runtime import runtime_of
from server.schemas.tokenization import Detokenized, DetokenizeRequest, TokenizeRequest, Tokens

router = APIRouter(tags=["tokens"])


@router.post("/tokenize", responses=ERRORS)
async def tokenize(body: TokenizeRequest, request: Request) -> Tokens:
    """The token ids that a prompt, or a chat under the model's template, begins a search with."""
    runtime = runtime_of(request)
    backend = runtime.backend
    find_preset(body.model, runtime)
    ids = await asyncio.to_thread(_encoded, body, backend)
    texts = [backend.tokenizer.decode([token]) for token in ids] if body.return_token_strs else None
    return Tokens(count=len(ids), max_model_len=backend.max_model_len, tokens=ids, token_strs=texts)


@router.post("/detokenize", responses=ERRORS)
async def detokenize(body: DetokenizeRequest, request: Request) -> Detokenized:
    """The text of token ids."""
    runtime = runtime_of(request)
    backend = runtime.backend
    find_preset(body.model, runtime)
    ids = known_ids(body.tokens, "tokens", backend)
    return Detokenized(prompt=await asyncio.to_thread(backend.tokenizer.decode, ids))


def _encoded(body: TokenizeRequest, backend: Backend) -> list[int]:
    if body.messages is None:
        return backend.tokenizer.encode(body.prompt or "", special=body.add_special_tokens is not False)
    goes_on = bool(body.continue_final_message)
    closed = body.add_generation_prompt is False and not goes_on
    tools = [tool.model_dump(exclude_none=True, exclude={"function": {"strict"}}) for tool in body.tools or []]
    return rendered(turns(body.messages), backend.tokenizer, tools, continue_final=goes_on, closed=closed)

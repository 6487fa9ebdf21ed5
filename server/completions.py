"""From the prompts of a plain completion to what the model reads, and from its searches to OpenAI's reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from mcts.errors import InvalidRequest
from mcts.ports import Prompt
from mcts.result import Candidate
from server.assignments import Assignment, Reading, ReadPrompt, assign, known_ids
from server.backend import Backend
from server.plans import Plan
from server.replies import Ended, fingerprint, finish_reason, path_logprobs, summary, total_usage
from server.runtime import Runtime
from server.schemas import completion as schema
from server.schemas import reply
from server.settings import Settings
from server.written import answer_text


async def assign_each(
    request: schema.CompletionRequest, runtime: Runtime, request_id: str, search_id: str
) -> list[Assignment]:
    """Understands a request: one assignment for each of its prompts.

    Raises:
        NotReady, UnknownModel, InvalidRequest: As ``assignments.assign``.
    """
    most, answers = runtime.settings.max_choices, len(request.prompts) * (request.n or 1)
    if answers > most:
        raise InvalidRequest(f"{answers} answers are asked for; this server allows at most {most}.", "prompt")
    return [
        await assign(request, _reader(request, prompt), runtime, f"cmpl-{request_id}", f"{search_id}-{place}")
        for place, prompt in enumerate(request.prompts)
    ]


def _reader(request: schema.CompletionRequest, given: str | list[int]) -> ReadPrompt:
    async def read(plan: Plan, backend: Backend) -> Reading:
        if plan.needs_chat:  # said here, since a stream whose search says it has its status already
            raise InvalidRequest(f"The strategy {plan.strategy} needs a chat.", "search.strategy")
        if isinstance(given, str):
            special = request.add_special_tokens is not False
            token_ids = await asyncio.to_thread(backend.tokenizer.encode, given, special=special)
            text = given
        else:
            token_ids = known_ids(given, "prompt", backend)
            text = await asyncio.to_thread(backend.tokenizer.decode, token_ids)
        if not token_ids:
            raise InvalidRequest("The prompt is empty.", "prompt")
        return Reading(Prompt(tuple(token_ids), text=text))

    return read


def completion(request: schema.CompletionRequest, ended: Sequence[Ended], settings: Settings) -> reply.TextCompletion:
    """The whole reply to a request that is not streamed."""
    first, _ = ended[0]
    return reply.TextCompletion(
        id=first.id,
        created=int(time.time()),
        model=first.model,
        choices=[
            _choice(request, assignment, place * (request.n or 1) + index, winner)
            for place, (assignment, result) in enumerate(ended)
            for index, winner in enumerate(result.winners)
        ],
        usage=total_usage(ended),
        system_fingerprint=fingerprint(settings),
        searches=[summary(*each) for each in ended],
    )


def _choice(
    request: schema.CompletionRequest, assignment: Assignment, index: int, winner: Candidate
) -> reply.TextChoice:
    before = assignment.task.prompt.text if request.echo else ""
    weighed = request.logprobs is not None
    return reply.TextChoice(
        index=index,
        text=before + answer_text(winner),
        logprobs=older_shape(path_logprobs(assignment, winner.path).content, 0) if weighed else None,
        finish_reason=finish_reason(winner),
    )


def older_shape(tokens: Sequence[reply.TokenLogprob], start: int) -> reply.TextLogprobs:
    """Token log-probabilities as plain completions give them.

    Args:
        tokens: As chats give them.
        start: Characters of text before the first token.
    """
    offsets, at = [], start
    for token in tokens:
        offsets.append(at)
        at += len(token.token)
    return reply.TextLogprobs(
        tokens=[token.token for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        # The chosen token stands among them whatever its rank, as OpenAI gives it.
        top_logprobs=[
            {other.token: other.logprob for other in token.top_logprobs} | {token.token: token.logprob}
            for token in tokens
        ],
        text_offset=offsets,
    )

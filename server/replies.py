"""From a search's result to OpenAI's reply: choices, usage and the search summary."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence

from mcts.ports import Finish, Path
from mcts.result import Candidate, SearchResult
from server.assignments import Assignment
from server.logprobs import step_logprobs, tokens_from
from server.schemas import reply
from server.settings import Settings
from server.thoughts import Split, ThoughtSplitter, split, splits_thoughts, splitter_for
from server.tool_parsers import Parsed
from server.version import version
from server.written import answer_text, answer_tokens

Ended = tuple[Assignment, SearchResult]
"""A request's search, and what came of it."""


def completion(
    assignment: Assignment, result: SearchResult, settings: Settings, *, logprobs: bool
) -> reply.ChatCompletion:
    """The whole reply to a request that is not streamed."""
    return reply.ChatCompletion(
        id=assignment.id,
        created=int(time.time()),
        model=assignment.model,
        choices=[
            _choice(
                assignment, index, winner, splitter_for(assignment) if splits_thoughts(settings) else None, logprobs
            )
            for index, winner in enumerate(result.winners)
        ],
        usage=usage(assignment, result),
        system_fingerprint=fingerprint(settings),
        search=summary(assignment, result),
    )


def _choice(
    assignment: Assignment, index: int, winner: Candidate, splitter: ThoughtSplitter | None, logprobs: bool
) -> reply.Choice:
    text = answer_text(winner)
    told = split(text, splitter) if splitter else Split(None, text, 0)
    parsed = assignment.tooling.read(told.answer) if assignment.tooling else Parsed(told.answer)
    calls = [
        reply.ToolCall(id=call_id(), function=reply.CalledFunction(name=call.name, arguments=call.arguments))
        for call in parsed.calls
    ]
    return reply.Choice(
        index=index,
        message=reply.Message(
            content=(parsed.content or None) if calls else parsed.content,
            tool_calls=calls or None,
            reasoning=told.thought,
            reasoning_content=told.thought,
        ),
        logprobs=path_logprobs(assignment, winner.path, told.answer_from) if logprobs else None,
        finish_reason="tool_calls" if calls else finish_reason(winner),
    )


def call_id() -> str:
    """A name for a call. Nine letters and digits, since Mistral's templates take nothing else."""
    return uuid.uuid4().hex[:9]


def path_logprobs(assignment: Assignment, path: Path, start: int = 0) -> reply.Logprobs:
    """Log-probabilities of a path, from the token on that ends behind character ``start``."""
    pieces = [step_logprobs(step, assignment.backend.tokenizer, assignment.task.top_logprobs) for step in path.steps]
    return reply.Logprobs(content=tokens_from([token for piece in pieces for token in piece.content], start))


def finish_reason(winner: Candidate) -> reply.FinishReason:
    """``stop`` when the model (or a stop text) ended the answer, ``length`` when a limit cut it."""
    finish = winner.path.steps[-1].finish if winner.path.steps else None
    return "stop" if finish in {Finish.EOS, Finish.STOP} else "length"


def usage(assignment: Assignment, result: SearchResult) -> reply.Usage:
    """Tokens of the request: the prompt once, every generated token, and those outside the answers as reasoning."""
    prompt = len(assignment.task.prompt.token_ids)
    return reply.Usage(
        prompt_tokens=prompt,
        completion_tokens=result.generated_tokens,
        total_tokens=prompt + result.generated_tokens,
        prompt_tokens_details=reply.PromptTokensDetails(cached_tokens=min(prompt, result.cached_tokens)),
        completion_tokens_details=reply.CompletionTokensDetails(
            reasoning_tokens=result.generated_tokens - answer_tokens(result)
        ),
    )


def total_usage(ended: Sequence[Ended]) -> reply.Usage:
    """Tokens of a request whose prompts had a search each."""
    each = [usage(*pair) for pair in ended]
    return reply.Usage(
        prompt_tokens=sum(one.prompt_tokens for one in each),
        completion_tokens=sum(one.completion_tokens for one in each),
        total_tokens=sum(one.total_tokens for one in each),
        prompt_tokens_details=reply.PromptTokensDetails(
            cached_tokens=sum(one.prompt_tokens_details.cached_tokens for one in each)
        ),
        completion_tokens_details=reply.CompletionTokensDetails(
            reasoning_tokens=sum(one.completion_tokens_details.reasoning_tokens for one in each)
        ),
    )


def summary(assignment: Assignment, result: SearchResult) -> reply.SearchSummary:
    """What the search did."""
    plan = assignment.plan
    return reply.SearchSummary(
        id=assignment.search_id,
        strategy=plan.strategy,
        reward=plan.reward,
        vote=plan.vote,
        simulations=result.simulations,
        nodes=result.nodes,
        depth=result.depth,
        value=result.winners[0].reward,
        votes=[reply.Vote(answer=t.answer, weight=t.weight, count=t.count) for t in result.tallies],
        stop_reason=result.stop_reason.value,
        seconds=round(result.seconds, 3),
        tokens=reply.SearchTokens(
            generated=result.generated_tokens, answer=answer_tokens(result), cached=result.cached_tokens
        ),
        engine_calls=result.engine_calls,
        reward_calls=result.reward_calls,
        candidates=[_found(candidate) for candidate in result.candidates] if plan.candidates else None,
    )


def _found(candidate: Candidate) -> reply.FoundAnswer:
    return reply.FoundAnswer(
        text=answer_text(candidate),
        answer=candidate.answer,
        reward=candidate.reward,
        visits=candidate.visits,
        finished=candidate.path.finished,
    )


def fingerprint(settings: Settings) -> str:
    """Changes with what may change answers: the version, the models and how they run."""
    parts = (settings.model, settings.reward_model_path, settings.dtype, settings.quantization, settings.engine)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    return f"espalier-{version()}-{digest}"

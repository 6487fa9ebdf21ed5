"""From a snapshot of a recording to the trace as JSON, which ``server.schemas.trace`` describes. Runs in any thread.

Texts (prompts, steps, answers, critiques, messages of errors, phrases of options) are there only if they are wanted;
everything else is there either way, so that a trace without texts still has its whole shape.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcts.result import SearchResult
from server.errors import error_body
from server.progress import event_fields
from server.traces.candidates import candidate_fields
from server.traces.growth import GrownNode, grown, lineage
from server.traces.recording import Snapshot
from server.traces.spelling import Spelling, token_fields
from server.written import answer_text, answer_tokens

LONGEST_QUESTION = 200
"""Characters of the question that lists show."""

LONGEST_ANSWER = 1000
"""Characters of the answer that lists show."""

CLOSED = frozenset({"vote", "prior", "selection", "rollout", "expansion", "aggregate", "vote_aggregate", "resampling"})
"""Options whose values come from a closed set: words of ours, not the client's."""

ELSEWHERE = frozenset({"parent", "depth", "text", "tokens", "terminal", "prior", "type"})
"""Fields of events that stand with the nodes and candidates they tell of."""

TEXTS = ("best_answer", "answer", "critique")
"""Fields of events that hold text."""


def summary(shot: Snapshot, *, texts: bool) -> dict[str, Any]:
    """What lists tell of a search.

    Args:
        shot: The search.
        texts: Whether texts may be told.
    """
    plan, task, result, counts = shot.asked.plan, shot.asked.task, shot.result, shot.counts
    return {
        "id": shot.asked.search_id,
        "object": "search",
        "request_id": shot.asked.id,
        "created": round(shot.created, 3),
        "model": shot.asked.model,
        "strategy": plan.strategy,
        "reward": plan.reward,
        "vote": plan.vote,
        "state": shot.state,
        "stop_reason": shot.stop_reason,
        "error": _error(shot.error, texts=texts),
        "budget": dataclasses.asdict(plan.budget),
        "waited_seconds": round(shot.waited, 6),
        "seconds": round(shot.seconds, 6),
        "simulations": result.simulations if result else counts.simulations,
        "nodes": result.nodes if result else counts.nodes,
        "depth": result.depth if result else counts.depth,
        "tokens": {
            "prompt": len(task.prompt.token_ids),
            "generated": result.generated_tokens if result else counts.generated_tokens,
            "answer": answer_tokens(result) if result else 0,
            "cached": result.cached_tokens if result else counts.cached_tokens,
        },
        "engine_calls": result.engine_calls if result else counts.engine_calls,
        "reward_calls": result.reward_calls if result else counts.reward_calls,
        "value": result.winners[0].reward if result else None,
        "answer": _answer(result) if result and texts else None,
        "question": _question(shot) if texts else None,
        "texts": texts,
        "truncated": shot.truncated,
    }


def document(shot: Snapshot, spelling: Spelling, *, texts: bool) -> dict[str, Any]:
    """The whole trace of a search.

    Args:
        shot: The search.
        spelling: Spells the tokens of its engine.
        texts: Whether texts may be told.
    """
    nodes = grown(shot.events)
    winning = {node.added.node for node in lineage(nodes, _winner(shot))}
    candidates, whole = candidate_fields(shot, spelling, texts=texts, tokens=not nodes)
    prompt, sampling = shot.asked.task.prompt, shot.asked.task.sampling
    asked = texts and shot.prompt_fits and bool(prompt.messages)
    told = summary(shot, texts=texts)
    return told | {
        "truncated": told["truncated"] or not whole,
        "options": options_fields(shot.asked.plan.options, texts=texts),
        "sampling": {
            "max_tokens": shot.asked.task.max_tokens,
            "n": shot.asked.task.n,
            "seed": shot.asked.task.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        },
        "messages": [{"role": one.role, "content": one.content} for one in prompt.messages] if asked else None,
        "prompt": prompt.text if texts and shot.prompt_fits and not prompt.messages else None,
        "tree": [_node(node, spelling, texts=texts, winning=number in winning) for number, node in nodes.items()],
        "events": _events(shot, texts=texts),
        "candidates": candidates,
        "votes": _votes(shot.result, texts=texts),
    }


def rendered(shot: Snapshot, spelling: Spelling, *, texts: bool) -> bytes:
    """The whole trace as one line of JSON in UTF-8, without its end.

    Raises:
        ValueError: A number is none that JSON can carry.
    """
    return to_json(document(shot, spelling, texts=texts))


def to_json(value: Any) -> bytes:
    """One line of JSON in UTF-8. Halves of surrogate pairs, which UTF-8 cannot carry, become question marks."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain_number)
    return text.encode("utf-8", "replace")


def options_fields(options: Any, *, texts: bool) -> dict[str, Any]:
    """A strategy's options by name. Without texts, those that a client may have written are null.

    Token ids, which spell a text as well, are left out.
    """
    return {
        each.name: _option(each.name, getattr(options, each.name), texts=texts)
        for each in dataclasses.fields(options)
        if each.name != "token_ids"
    }


def _option(name: str, value: Any, *, texts: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return options_fields(value, texts=texts)
    if isinstance(value, str):
        return value if texts or name in CLOSED else None
    if isinstance(value, tuple):
        return [_option(name, each, texts=texts) for each in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def _node(node: GrownNode, spelling: Spelling, *, texts: bool, winning: bool) -> dict[str, Any]:
    added = node.added
    pieces, sure = token_fields(added.steps, spelling, texts=texts)
    return {
        "node": added.node,
        "parent": added.parent,
        "depth": added.depth,
        "seconds": round(added.seconds, 6),
        "text": added.text if texts else None,
        "tokens": added.tokens,
        "token_texts": pieces,
        "confidences": sure,
        "prior": added.prior,
        "terminal": added.terminal,
        "visits": node.visits,
        "value": node.value,
        "value_sum": node.value_sum,
        "rewards": node.rewards,
        "winning": winning,
    }


def _events(shot: Snapshot, *, texts: bool) -> list[dict[str, Any]]:
    """The events as streams tell them, less what stands with nodes and candidates."""
    told, found = [], 0
    for event in shot.events:
        fields = event_fields(event)
        kind = fields["type"]
        if kind == "node_added":
            fields = {name: value for name, value in fields.items() if name not in ELSEWHERE}
        elif kind == "answer_found":
            fields = {"candidate": found, **{name: fields[name] for name in ("node", "reward", "seconds")}}
            found += 1
        if not texts:
            fields = {name: value for name, value in fields.items() if name not in TEXTS}
        told.append({"type": kind, **fields, "seconds": round(fields["seconds"], 6)})
    return told


def _votes(result: SearchResult | None, *, texts: bool) -> list[dict[str, Any]]:
    return [
        {"answer": tally.answer if texts else None, "weight": tally.weight, "count": tally.count}
        for tally in (result.tallies if result else ())
    ]


def _winner(shot: Snapshot) -> int | None:
    return shot.result.winners[0].node if shot.result else None


def _answer(result: SearchResult) -> str:
    winner = result.winners[0]
    return _short(answer_text(winner) if winner.answer is None else winner.answer, LONGEST_ANSWER)


def _question(shot: Snapshot) -> str:
    prompt = shot.asked.task.prompt
    asked = [message.content for message in prompt.messages if message.role == "user"]
    return _short(asked[-1] if asked else prompt.text, LONGEST_QUESTION)


def _short(text: str, most: int) -> str:
    """A text on one line, its end left out where it is longer than so many characters."""
    flat = " ".join(text[: 4 * most].split())
    return flat if len(flat) <= most and len(text) <= 4 * most else flat[: most - 1] + "…"


def _error(error: BaseException | None, *, texts: bool) -> Mapping[str, Any] | None:
    """What a failed search told its client; without texts only of which kind it was, since messages may quote."""
    if error is None:
        return None
    told: dict[str, Any] = error_body(error)["error"]
    return {"code": told["code"], "message": told["message"] if texts else None}


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no place in a trace")

"""The candidates of a search as its trace tells them, while it runs and when it has ended."""

from __future__ import annotations

from typing import Any

from mcts import events
from mcts.result import Candidate, SearchResult
from server.traces.recording import Snapshot
from server.traces.spelling import Spelling, token_fields
from server.written import answer_text


def candidate_fields(
    shot: Snapshot, spelling: Spelling, *, texts: bool, tokens: bool
) -> tuple[list[dict[str, Any]], bool]:
    """The candidates in the order in which they were found, each with its place in it.

    Args:
        shot: The search.
        spelling: Spells tokens.
        texts: Whether texts may be told.
        tokens: Whether each tells the tokens of its path, because no tree does.

    Returns:
        The candidates, and whether these are all: of those that were found when there was no room left, only winners
        are told.
    """
    recorded = [event for event in shot.events if isinstance(event, events.AnswerFound)]
    if shot.result is None:
        return [_found(place, event, texts=texts) for place, event in enumerate(recorded)], True
    result, behind = shot.result, _votes(shot.result)
    told = [
        _ended(place, candidate, texts=texts)
        | {"vote": behind.get(id(candidate)), "winner": _rank(candidate, result)}
        | (_tokens(candidate, spelling, texts=texts) if tokens else {})
        for place, candidate in enumerate(result.candidates)
        if place < len(recorded) or _rank(candidate, result) is not None
    ]
    return told, len(told) == len(result.candidates)


def _found(place: int, event: events.AnswerFound, *, texts: bool) -> dict[str, Any]:
    """A candidate of a search that has no result (yet)."""
    return {
        "candidate": place,
        "node": event.node,
        "text": event.text if texts else None,
        "answer": event.answer if texts else None,
        "reward": event.reward,
        "step_rewards": [],
        "visits": None,
        "finished": None,
        "vote": None,
        "winner": None,
        "token_texts": None,
        "confidences": None,
    }


def _ended(place: int, candidate: Candidate, *, texts: bool) -> dict[str, Any]:
    return {
        "candidate": place,
        "node": candidate.node,
        "text": answer_text(candidate) if texts else None,
        "answer": candidate.answer if texts else None,
        "reward": candidate.reward,
        "step_rewards": list(candidate.step_rewards),
        "visits": candidate.visits,
        "finished": candidate.path.finished,
        "token_texts": None,
        "confidences": None,
    }


def _tokens(candidate: Candidate, spelling: Spelling, *, texts: bool) -> dict[str, Any]:
    pieces, sure = token_fields(candidate.path.steps, spelling, texts=texts)
    return {"token_texts": pieces, "confidences": sure}


def _votes(result: SearchResult) -> dict[int, int]:
    """Which tally each candidate stands behind, by the candidate's identity."""
    return {id(member): place for place, tally in enumerate(result.tallies) for member in tally.members}


def _rank(candidate: Candidate, result: SearchResult) -> int | None:
    """Its place among the winners, from 0; None for all others."""
    return next((rank for rank, winner in enumerate(result.winners) if winner is candidate), None)

"""What of a search's text and tokens stands in its answers."""

from __future__ import annotations

from mcts.result import Candidate, SearchResult


def answer_tokens(result: SearchResult) -> int:
    """Generated tokens that stand in the winners; a step that two of them share counts once."""
    steps = {
        id(step): len(step.token_ids) for winner in result.winners for step in winner.path.steps if not step.forced
    }
    return min(sum(steps.values()), result.generated_tokens)


def answer_text(candidate: Candidate) -> str:
    """What the model wrote: the path's text without a prefill of the client's."""
    return "".join(step.text for step in candidate.path.steps)

"""What a search is asked and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcts.budget import Budget, StopReason
from mcts.ports import Path, Prompt, Sampling


@dataclass(frozen=True, slots=True)
class Task:
    """One question for one search.

    Args:
        prompt: What is asked.
        sampling: How tokens are drawn.
        max_tokens: Most tokens of one path (the answer), prompt not counted; at least 1.
        budget: Limits on the whole search.
        seed: Every engine call's seed is derived from it and from the node; None draws fresh randomness.
        top_logprobs: Alternatives per token that the client asked to see; a reward may need more.
        search_id: Name of the search, for tracing and affinity.
        n: How many distinct best answers are wanted, at least 1.
        context: Most tokens that the model reads and writes in one call, for strategies that hold chats of their own;
            None where there is no limit. Prompt and path always fit.
    """

    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 512
    budget: Budget = field(default_factory=Budget)
    seed: int | None = None
    top_logprobs: int = 0
    search_id: str = ""
    n: int = 1
    context: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A finished path (or, when nothing finished, the best unfinished one) that can be the answer.

    ``reward`` in [0, 1] is None where the strategy scores nothing. ``node`` is the id of the node it ends in, None
    outside trees. ``visits`` are that node's when the search ended.
    """

    path: Path
    answer: str | None
    reward: float | None = None
    step_rewards: tuple[float, ...] = ()
    node: int | None = None
    visits: int = 1


@dataclass(frozen=True, slots=True)
class Tally:
    """One answer and the weight behind it, under the vote that was used. ``answer`` is None for texts without one.

    ``members`` are the candidates that stand behind it, in the order in which they were found.
    """

    answer: str | None
    weight: float
    count: int
    members: tuple[Candidate, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """What a search found.

    Args:
        winners: The ``Task.n`` best candidates with distinct answers, best first; at least one, never more than exist.
        candidates: Every candidate in the order in which it was found.
        tallies: The vote, heaviest first.
        stop_reason: Why it ended.
        simulations: Simulations (or samples) completed.
        generated_tokens: All generated tokens, the winner's included.
        cached_tokens: Prefix tokens that came from the engine's cache, over all calls.
        engine_calls: Calls to the generation engine.
        reward_calls: Calls to the reward model.
        nodes: Nodes of the tree; 0 outside trees.
        depth: Edges from the root to the deepest node; 0 outside trees.
        seconds: From the search's beginning to its end, waiting in the queue not counted.
    """

    winners: tuple[Candidate, ...]
    candidates: tuple[Candidate, ...]
    tallies: tuple[Tally, ...]
    stop_reason: StopReason
    simulations: int
    generated_tokens: int
    cached_tokens: int
    engine_calls: int
    reward_calls: int
    nodes: int
    depth: int
    seconds: float

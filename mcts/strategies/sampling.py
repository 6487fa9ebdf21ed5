"""Independent samples and a vote: majority, best-of-N and weighted best-of-N are one sampler with another vote.

Sources: self-consistency (Wang et al., 2203.11171) for majority; Cobbe et al. (2110.14168) for best-of-N; Li et al.
(2206.02336) and Snell et al. (2408.03314) for the weighted vote; Aggarwal et al. (2305.11860) for ending a vote by
majority early.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.options import require, require_between
from mcts.result import Candidate, SearchResult, Task
from mcts.search import Search
from mcts.steps import StepRule
from mcts.strategies.adaptive import RunningVote
from mcts.strategy import Ports
from mcts.votes import VOTES, VoteRule

MOST_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Options of the sampling strategies.

    Args:
        samples: How many answers are drawn, 1 to 1024; takes the place of ``Budget.simulations``. Higher values find
            rarer answers and cost proportionally more tokens.
        vote: How the answer is picked. All but ``majority`` need a reward.
        scored: Whether samples are scored although the vote is by majority: among equivalent answers the best-rewarded
            text is then given, and free texts compete by reward.
        width: Samples drawn at once, 1 to 1024; None draws all at once. Higher values are faster, and leave more
            samples to be cancelled half way when the vote is decided early; 1 is exactly reproducible.
        adaptive: Whether the remaining samples are cancelled once the vote by majority is decided.
        certainty: How sure that must be, 0.5 to 1. 1 waits until the leader can no longer be caught, so the answer is
            that of all samples; lower values stop when the posterior probability that the leader is the commonest
            answer reaches them (0.95 in Adaptive-Consistency), and may give another answer than all samples would.
    """

    samples: int = 16
    vote: VoteRule = "majority"
    scored: bool = False
    width: int | None = None
    adaptive: bool = False
    certainty: float = 1.0

    def __post_init__(self) -> None:
        require_between(self.samples, 1, MOST_SAMPLES, "search.samples")
        require(self.vote in VOTES and self.vote != "max_visits", _VOTES_MESSAGE, "search.vote")
        if self.width is not None:
            require_between(self.width, 1, MOST_SAMPLES, "search.width")
        require_between(self.certainty, 0.5, 1, "search.certainty")
        counting = self.vote == "majority" and not self.scored
        require(counting or not self.adaptive, _ADAPTIVE_MESSAGE, "search.adaptive")
        require(self.adaptive or self.certainty == 1, _CERTAINTY_MESSAGE, "search.certainty")

    @property
    def needs_reward(self) -> bool:
        """Whether samples are scored."""
        return self.scored or self.vote != "majority"


_VOTES_MESSAGE = "search.vote must be weighted, majority or max_value: samples have no visits."
_ADAPTIVE_MESSAGE = "search.adaptive needs a vote by majority without rewards: only counts can be decided early."
_CERTAINTY_MESSAGE = "search.certainty needs search.adaptive."


async def sample_and_vote(task: Task, ports: Ports, options: SamplingOptions, name: str = "majority") -> SearchResult:
    """Draws samples, ``width`` at a time, and lets them vote.

    Each sample is a call of its own with its own seed, scored as it arrives, so that a deadline finds whatever is
    done, and a vote that is decided early cancels every other call at once. The prompt they share comes from the
    engine's prefix cache. Samples that may be cancelled by the vote are watched as they are written, so that tokens
    that were generated in vain are counted too. Under a token budget calls wait for room rather than being cut
    shorter, while others are open.

    Raises:
        InvalidRequest: The options need a reward and there is none.
        NoAnswerInTime: The budget ended before any sample was done.
        EngineError, RewardError: An engine failed before any sample was done.
    """
    search = Search(task, ports, name, scored=options.needs_reward)
    if options.needs_reward and not search.scored:
        raise InvalidRequest(f"The vote {options.vote} needs a reward.", "search.reward")
    vote = RunningVote(options.samples, task.n, options.certainty, ports.answers) if options.adaptive else None
    numbers = iter(range(options.samples))
    with search.announced():
        await search.run([functools.partial(_draw, search, numbers, vote)] * (options.width or options.samples))
        return await search.result(options.vote)


async def _draw(search: Search, numbers: Iterator[int], vote: RunningVote | None) -> None:
    """Draws one sample after the other while there are numbers left. ``width`` of these run side by side."""
    for number in numbers:
        candidate = await _sample(search, number, watched=vote is not None)
        if candidate is None:
            search.reason = StopReason.TOKENS
            return
        if vote is not None:
            await vote.add(candidate)
            if vote.decided:
                search.stop(StopReason.DECIDED)


async def _sample(search: Search, number: int, *, watched: bool) -> Candidate | None:
    """Draws one sample and makes it a candidate; None when the token budget has no room for it."""
    prefix, purpose = search.task.prompt.token_ids, f"sample/{number}"
    if watched:
        sampled = await search.calls.watched(prefix, purpose)
    else:
        sampled = next(iter(await search.calls.sample(prefix, purpose)), None)
    if sampled is None:
        return None
    path = search.path(StepRule().split(sampled))
    scores = await search.score([path]) if search.scored else [None]
    search.found(path, scores[0])
    search.simulation_done()
    return search.candidates[-1]

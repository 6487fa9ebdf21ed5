"""Independent samples and a vote: majority, best-of-N and weighted best-of-N are one sampler with another vote.

Sources: self-consistency (Wang et al., 2203.11171) for majority; Cobbe et al. (2110.14168) for best-of-N; Li et al.
(2206.02336) and Snell et al. (2408.03314) for the weighted vote.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.options import require, require_between
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.steps import StepRule
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
    """

    samples: int = 16
    vote: VoteRule = "majority"

    def __post_init__(self) -> None:
        require_between(self.samples, 1, MOST_SAMPLES, "search.samples")
        require(self.vote in VOTES and self.vote != "max_visits", _VOTES_MESSAGE, "search.vote")


_VOTES_MESSAGE = "search.vote must be weighted, majority or max_value: samples have no visits."


async def sample_and_vote(task: Task, ports: Ports, options: SamplingOptions, name: str = "majority") -> SearchResult:
    """Draws samples, all at once, and lets them vote.

    Each sample is a call of its own with its own seed, scored as it arrives, so that a deadline finds whatever is
    done. Under a token budget calls wait for room rather than being cut shorter, while others are open.

    Raises:
        InvalidRequest: The vote needs a reward and there is none.
        NoAnswerInTime: The budget ended before any sample was done.
        EngineError, RewardError: An engine failed before any sample was done.
    """
    search = Search(task, ports, name, scored=options.vote != "majority")
    if options.vote != "majority" and not search.scored:
        raise InvalidRequest(f"The vote {options.vote} needs a reward.", "search.reward")
    with search.announced():
        await search.run([functools.partial(_sample, search, i) for i in range(options.samples)])
        return await search.result(options.vote)


async def _sample(search: Search, number: int) -> None:
    """Draws one sample and makes it a candidate."""
    sampled = await search.calls.sample(search.task.prompt.token_ids, f"sample/{number}")
    if not sampled:
        search.reason = StopReason.TOKENS
        return
    path = search.path(StepRule().split(sampled[0]))
    scores = await search.score([path]) if search.scored else [None]
    search.found(path, scores[0])
    search.simulation_done()

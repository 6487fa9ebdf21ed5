"""The language model itself as a judge of whole answers: it writes a critique and a score.

After LLM-as-a-judge (Zheng et al., 2306.05685, single-answer grading): reasons first, then a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcts.errors import StartupError, VerdictUnreadable
from mcts.ports import Continuation, Finish, Message, Path, PathScore, SampleRequest, Sampling, Tokenizer
from mcts.reward_ports import Sampler
from mcts.together import together
from reward.solutions import question_of, unmarked

SYSTEM = (
    "You are a strict judge of answers. Write a short critique: what is right, what is wrong, what is missing. "
    "Then write a last line of the form 'Score: N', where N is a whole number from 0 (useless or wrong) "
    "to 10 (right and complete)."
)
ANSWER_ENDS = "[End of answer]"

BEST = 10
"""The highest score a judge may give; scores are divided by it."""

ATTEMPTS = 2
"""Times that an unreadable verdict is asked for."""

MOST_VOTES = 16

_SCORE = re.compile(r"score\W{0,12}?(-?\d{1,6}(?:\.\d{1,6})?)(?!\w|[.,]\d)(?:\s{0,3}/\s{0,3}(\d{1,6}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's opinion: ``score`` in [0, 1], and why."""

    score: float
    critique: str


@dataclass(frozen=True, slots=True, eq=False)
class JudgeReward:
    """A ``WritingReward``: the search's own model grades each answer, question in hand.

    An answer without text is worth 0 and is not judged.

    Args:
        tokenizer: The engine's.
        votes: Verdicts per answer, 1 to 16; the mean counts. Higher is steadier and costs proportionally more. A single
            one is written greedily, several are drawn at temperature 1.
        max_tokens: Longest verdict in tokens, at least 16.

    Raises:
        StartupError: A number is out of its range.
    """

    tokenizer: Tokenizer
    votes: int = 1
    max_tokens: int = 512
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.votes <= MOST_VOTES or self.max_tokens < 16:
            raise StartupError(f"A judge has 1 to {MOST_VOTES} votes of at least 16 tokens.")

    @property
    def tokens_per_path(self) -> int:
        """Most tokens that it may have written about one path."""
        return ATTEMPTS * self.votes * self.max_tokens

    async def judge(self, paths: Sequence[Path], sampler: Sampler) -> list[PathScore]:
        """Scores each path, in order; all verdicts are asked for at once.

        Raises:
            VerdictUnreadable: A judge wrote no score, asked twice.
            Whatever else ``sampler`` raises.
        """
        return await together(self._judge(path, sampler) for path in paths)

    async def _judge(self, path: Path, sampler: Sampler) -> PathScore:
        if not path.text.strip():
            return PathScore(0.0)
        prompt = tuple(self.tokenizer.render(judge_chat(path)))
        verdicts: list[Verdict] = []
        for attempt in range(ATTEMPTS):
            replies = await sampler.sample(self._request(prompt, self.votes - len(verdicts), attempt))
            verdicts += [verdict for reply in replies if (verdict := read_verdict(reply)) is not None]
            if len(verdicts) == self.votes:
                value = math.fsum(verdict.score for verdict in verdicts) / self.votes
                return PathScore(value, critique="\n\n".join(verdict.critique for verdict in verdicts))
        raise VerdictUnreadable(f"The judge wrote no readable score, asked {ATTEMPTS} times.")

    def _request(self, prompt: tuple[int, ...], votes: int, attempt: int) -> SampleRequest:
        """Asking again must be able to give something else, so only the first single verdict is greedy."""
        temperature = 0.0 if self.votes == 1 and attempt == 0 else 1.0
        sampling = Sampling(temperature=temperature)
        return SampleRequest(prompt, n=votes, max_tokens=self.max_tokens, sampling=sampling, seed=attempt)


def judge_chat(path: Path) -> list[Message]:
    """The chat that asks for a verdict. The answer stands between marks that it cannot forge."""
    return judge_turns(question_of(path), path.text)


def judge_turns(question: str, answer: str) -> list[Message]:
    """The same chat from its two texts. The bundled model is taught exactly these turns."""
    answer = unmarked(answer, ANSWER_ENDS).strip()
    told = f"[Question]\n{question}\n[End of question]\n\n[Answer]\n{answer}\n{ANSWER_ENDS}"
    return [Message("system", SYSTEM), Message("user", f"{told}\n\nWrite your critique, then 'Score: N'.")]


def read_verdict(reply: Continuation) -> Verdict | None:
    """The last score of a reply, from 0 to 10, and what was written before it; None when there is none.

    "Score: 7", "**Score**: 7.5" and "score: 7/10" are read. A score outside the scale or of another scale is none,
    and so is one in a reply that was cut short: of 10 the last digit may be missing.
    """
    if reply.finish is Finish.LENGTH:
        return None
    found = list(_SCORE.finditer(reply.text))
    if not found:
        return None
    score, scale = float(found[-1][1]), found[-1][2]
    if not 0 <= score <= BEST or (scale is not None and int(scale) != BEST):
        return None
    return Verdict(score / BEST, reply.text[: found[-1].start()].strip(" \n*#"))

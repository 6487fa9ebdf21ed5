"""Training conversations: every kind of turn the model is taught, and the share of each, in one place.

A new kind of turn (a critique, a rewrite, a grade) is one more maker in `MIX`.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from models.critiques import ABOUT_ANSWERS
from models.drills import endgame, sums
from models.problems import Record, generate

Message = dict[str, str]

# The system turn of Qwen2.5-Math-PRM, which the reward model always reads and the language model often.
REASONING_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
_SYSTEMS = (
    REASONING_SYSTEM,
    REASONING_SYSTEM,
    "You are a helpful assistant.",
    "Solve the problem step by step.",
    "You are Abacus, a small model that solves word problems and countdown.",
)
_SYSTEM_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Chat:
    """One training example.

    Attributes:
        kind: Key of `MIX`.
        messages: Turns, the last one the assistant's.
    """

    kind: str
    messages: tuple[Message, ...]


def ask(record: Record, solution: str | None = None) -> list[Message]:
    """Return the user turn for `record`, followed by the assistant's when `solution` is given."""
    turns = [{"role": "user", "content": record["question"]}]
    return turns if solution is None else [*turns, {"role": "assistant", "content": solution}]


def _plain(rng: random.Random, records: Iterator[Record]) -> list[Message]:
    record = next(records)
    system = []
    if rng.random() < _SYSTEM_SHARE:
        system = [{"role": "system", "content": rng.choice(_SYSTEMS)}]
    return [*system, *ask(record, record["solution"])]


def _followup(rng: random.Random, records: Iterator[Record]) -> list[Message]:
    first, second = next(records), next(records)
    return [*_plain(rng, iter((first,))), *ask(second, second["solution"])]


Maker = Callable[[random.Random, Iterator[Record]], list[Message]]

# kind: (family of problems, maker, share of the examples)
MIX: dict[str, tuple[str, Maker, float]] = {
    "word": ("word", _plain, 0.37),
    "countdown": ("countdown", _plain, 0.26),
    "word-followup": ("word", _followup, 0.01),
    "countdown-followup": ("countdown", _followup, 0.01),
    "sums": ("word", sums, 0.16),
    "endgame": ("countdown", endgame, 0.07),
    **{
        f"{family}-{kind}": (family, make, share)
        for (kind, make), share in zip(ABOUT_ANSWERS.items(), (0.025, 0.015, 0.01, 0.01), strict=True)
        for family in ("word", "countdown")
    },
}


def training_chats(count: int, seed: int, weights: Mapping[str, float] = MappingProxyType({})) -> Iterator[Chat]:
    """Yield `count` chats over problems of the train split, kinds mixed by their shares.

    Args:
        count: How many.
        seed: Fixes the stream.
        weights: How many times as often as `MIX` says, against the others, some kinds come.
    """
    rng = random.Random(seed)
    plenty = 3 * count + 1000
    records: dict[str, Iterator[Record]] = {
        "word": generate("word", plenty, seed, "train"),
        "countdown": generate("countdown", plenty, seed, "train"),
    }
    kinds = list(MIX)
    shares = [share * weights.get(kind, 1.0) for kind, (_, _, share) in MIX.items()]
    for _ in range(count):
        (kind,) = rng.choices(kinds, shares)
        family, make, _ = MIX[kind]
        yield Chat(kind, tuple(make(rng, records[family])))

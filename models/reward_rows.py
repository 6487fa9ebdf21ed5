"""Training rows of the process reward model: chats with a tag after every step, and a label at every tag.

The input is exactly that of Qwen2.5-Math-PRM: its system turn, the question, and the steps each followed by the tag,
the blank lines between them gone.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerFast

from models.batches import Row, batched
from models.chats import REASONING_SYSTEM, Message
from models.problems import STEP_BREAK, Record, step_labels
from models.problems.countdown import wander
from models.problems.record import UnsuitableError
from models.step_targets import digit_labels
from models.tokenizer import STEP_TAG

UNLABELLED = -1.0
_GOLD_SHARE = 0.2
_WANDERING_SHARE = 0.7
_NUMBER = re.compile(r"\d+")


def reward_messages(question: str, steps: Sequence[str]) -> list[Message]:
    """Return the chat that the reward model reads."""
    return [
        {"role": "system", "content": REASONING_SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "".join(step + STEP_TAG for step in steps)},
    ]


def reward_rows(
    tokenizer: PreTrainedTokenizerFast, answers: Iterable[tuple[Record, str]], dense: bool = False
) -> Iterator[Row]:
    """Turn (problem, answer text) pairs into rows whose targets are 1 or 0 at tags and `UNLABELLED` elsewhere.

    With `dense`, for training, the digits of results are labelled too (see `step_targets`).
    """
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    for chunk in batched(answers, 2000):
        # An untrained model may write the tag itself; a tag that ends no step would have no label.
        split = [(record, text.replace(STEP_TAG, "").split(STEP_BREAK)) for record, text in chunk]
        texts = [
            tokenizer.apply_chat_template(reward_messages(record["question"], steps), tokenize=False)
            for record, steps in split
        ]
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=dense)
        for index, ((record, steps), ids) in enumerate(zip(split, encoded["input_ids"], strict=True)):
            labels = iter(step_labels(record, steps))
            targets = [float(next(labels)) if token == tag else UNLABELLED for token in ids]
            if dense:
                found = _digit_targets(record, steps, texts[index])
                for position, (start, end) in enumerate(encoded["offset_mapping"][index]):
                    if end - start == 1 and start in found:
                        targets[position] = found[start]
            yield Row(ids, targets)


def _digit_targets(record: Record, steps: Sequence[str], text: str) -> dict[int, float]:
    """Return the label of each labelled digit by its place in `text`, the whole conversation."""
    at = text.rindex("".join(step + STEP_TAG for step in steps))
    found: dict[int, float] = {}
    for step, spans in zip(steps, digit_labels(record, steps), strict=True):
        found |= {at + start: float(right) for start, _, right in spans}
        at += len(step) + len(STEP_TAG)
    return found


def spoiled(rng: random.Random, record: Record) -> str:
    """Return an answer that shows what samples show too seldom: a lone slip, or a sound countdown play gone astray."""
    if record["kind"] == "countdown" and rng.random() < _WANDERING_SHARE:
        try:
            return wander(rng, record["numbers"], record["target"])
        except UnsuitableError:
            pass
    return corrupted(rng, record["solution"])


def corrupted(rng: random.Random, solution: str) -> str:
    """Return `solution` up to some step, with one number of that step changed a little."""
    steps = solution.split(STEP_BREAK)
    index = rng.randrange(len(steps))
    spans = [match.span() for match in _NUMBER.finditer(steps[index])]
    start, end = rng.choice(spans)
    number = int(steps[index][start:end])
    wrong = max(0, number + rng.choice((-10, -2, -1, 1, 2, 10, number, rng.randint(1, 60))))
    steps[index] = f"{steps[index][:start]}{wrong}{steps[index][end:]}"
    return STEP_BREAK.join(steps[: index + 1])


def made_up_answers(rng: random.Random, records: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    """Pair each problem with its gold solution now and then, and with a spoiled answer otherwise."""
    for record in records:
        yield record, record["solution"] if rng.random() < _GOLD_SHARE else spoiled(rng, record)

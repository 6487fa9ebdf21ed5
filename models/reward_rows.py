"""Training rows of the process reward model: chats with a tag after every step, and a label at every tag.

The input is exactly that of Qwen2.5-Math-PRM: its system turn, the question, and the steps each followed by the tag,
the blank lines between them gone.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerFast

from models.batches import Row, batched
from models.chats import REASONING_SYSTEM, Message
from models.problems import STEP_BREAK, Record, step_labels
from models.tokenizer import STEP_TAG

UNLABELLED = -1.0
_NUMBER = re.compile(r"\d+")


def reward_messages(question: str, steps: Sequence[str]) -> list[Message]:
    """Return the chat that the reward model reads."""
    return [
        {"role": "system", "content": REASONING_SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "".join(step + STEP_TAG for step in steps)},
    ]


def reward_rows(tokenizer: PreTrainedTokenizerFast, answers: Iterable[tuple[Record, str]]) -> Iterator[Row]:
    """Turn (problem, answer text) pairs into rows whose targets are 1 or 0 at tags and `UNLABELLED` elsewhere."""
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    for chunk in batched(answers, 2000):
        split = [(record, text.split(STEP_BREAK)) for record, text in chunk]
        texts = [
            tokenizer.apply_chat_template(reward_messages(record["question"], steps), tokenize=False)
            for record, steps in split
        ]
        for (record, steps), ids in zip(split, tokenizer(texts, add_special_tokens=False)["input_ids"], strict=True):
            labels = iter(step_labels(record, steps))
            yield Row(ids, [float(next(labels)) if token == tag else UNLABELLED for token in ids])


def corrupted(rng: random.Random, solution: str) -> str:
    """Return `solution` with one number of one step changed a little: a slip that no sample may have shown."""
    steps = solution.split(STEP_BREAK)
    index = rng.randrange(len(steps))
    spans = [match.span() for match in _NUMBER.finditer(steps[index])]
    start, end = rng.choice(spans)
    number = int(steps[index][start:end])
    wrong = max(0, number + rng.choice((-10, -2, -1, 1, 2, 10, number, rng.randint(1, 60))))
    steps[index] = f"{steps[index][:start]}{wrong}{steps[index][end:]}"
    return STEP_BREAK.join(steps)


def mixed_answers(
    records: Sequence[Record], samples: Sequence[Sequence[str]], corrupted_share: float, rng: random.Random
) -> list[tuple[Record, str]]:
    """Return the distinct samples of every problem, now and then with its gold solution or a corrupted one, shuffled.

    Args:
        records: Problems with their solutions.
        samples: For each problem, the model's own answers.
        corrupted_share: Corrupted and gold solutions to add, each as a share of the number of samples.
        rng: Source of the choices.
    """
    pairs = []
    make: Callable[[str], str] = lambda solution: corrupted(rng, solution)  # noqa: E731
    for record, texts in zip(records, samples, strict=True):
        pairs += [(record, text) for text in dict.fromkeys(texts)]
        for change in (make, str):
            if rng.random() < corrupted_share * len(texts):
                pairs.append((record, change(record["solution"])))
    rng.shuffle(pairs)
    return pairs

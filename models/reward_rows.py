"""Training rows of the process reward model: chats with a tag after every step, and a label at every tag.

The input is exactly that of Qwen2.5-Math-PRM: its system turn, the question, and the steps each followed by the tag,
the blank lines between them gone.
"""

from collections.abc import Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerFast

from models.batches import Row, batched
from models.chats import REASONING_SYSTEM, Message
from models.problems import STEP_BREAK, Record, step_labels
from models.step_targets import digit_labels
from models.tokenizer import STEP_TAG

UNLABELLED = -1.0
# A token of a right step that has no label of its own: the reward model learns to predict it besides.
TRUSTED = -2.0


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

    With `dense`, for training, the digits of results are labelled too (see `step_targets`), and what else stands in a
    right step is `TRUSTED`.
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
                targets = _dense(targets, encoded["offset_mapping"][index], record, steps, texts[index])
            yield Row(ids, targets)


def _dense(
    targets: list[float], places: Sequence[tuple[int, int]], record: Record, steps: Sequence[str], text: str
) -> list[float]:
    """Add to the labels at tags those of digits, and trust in the other tokens of right steps.

    Args:
        targets: One a token: a label at each tag, `UNLABELLED` elsewhere.
        places: Where each token stands in `text`.
        record: The problem.
        steps: The answer.
        text: The whole conversation.
    """
    begin = text.rindex("".join(step + STEP_TAG for step in steps))
    digits = _digit_targets(record, steps, begin)
    dense = list(targets)
    trusted = False
    # From the back, because a step's tag stands behind it.
    for position in reversed(range(len(targets))):
        start, end = places[position]
        if start < begin:
            break
        if targets[position] != UNLABELLED:
            trusted = targets[position] == 1.0
        elif end - start == 1 and start in digits:
            dense[position] = digits[start]
        elif trusted:
            dense[position] = TRUSTED
    return dense


def _digit_targets(record: Record, steps: Sequence[str], begin: int) -> dict[int, float]:
    """Return the label of each labelled digit by its place in the text, where the answer stands from `begin`."""
    found: dict[int, float] = {}
    for step, spans in zip(steps, digit_labels(record, steps), strict=True):
        found |= {begin + start: float(right) for start, _, right in spans}
        begin += len(step) + len(STEP_TAG)
    return found

"""Training rows of the process reward model: chats with a tag after every step, and a label at every tag.

The input is exactly that of Qwen2.5-Math-PRM: its system turn, the question, and the steps each followed by the tag,
the blank lines between them gone. What can be checked inside the steps is labelled too (see `step_targets`).
"""

from collections.abc import Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerFast

from models.batches import UNLABELLED, Row, batched
from models.chats import REASONING_SYSTEM, Message
from models.step_targets import Judged, Marks
from models.tokenizer import STEP_TAG


def reward_messages(question: str, steps: Sequence[str]) -> list[Message]:
    """Return the chat that the reward model reads."""
    return [
        {"role": "system", "content": REASONING_SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "".join(step + STEP_TAG for step in steps)},
    ]


def reward_rows(tokenizer: PreTrainedTokenizerFast, answers: Iterable[Judged]) -> Iterator[Row]:
    """Turn judged answers into rows labelled at tags and wherever a mark stands.

    The tokens of an answer weigh 1 until its first mistake, so that predicting them teaches what a right step says.
    """
    tag = int(tokenizer.convert_tokens_to_ids(STEP_TAG))
    for chunk in batched(answers, 500):
        texts = [
            tokenizer.apply_chat_template(reward_messages(answer.question, answer.steps), tokenize=False)
            for answer in chunk
        ]
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        for answer, text, ids, places in zip(
            chunk, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            yield _row(answer, text, ids, places, tag)


def _row(answer: Judged, text: str, ids: list[int], places: Sequence[tuple[int, int]], tag: int) -> Row:
    begin = text.rindex("".join(step + STEP_TAG for step in answer.steps))
    labels, errors, trusted = _by_character(answer)
    end = begin + len(labels)
    row = Row(ids, [0.0] * len(ids), [UNLABELLED] * len(ids), [UNLABELLED] * len(ids))
    for position, (start, stop) in enumerate(places):
        if not begin <= start < end:
            continue
        label, error = labels[stop - 1 - begin], errors[stop - 1 - begin]
        if label is not None and answer.is_answer:
            row.labels[position] = float(label)
        if error is not None:
            row.errors[position] = float(error)
        if ids[position] != tag and stop - begin <= trusted:
            row.weights[position] = 1.0
    return row


def _by_character(answer: Judged) -> tuple[Marks, Marks, int]:
    """Return, by characters of the assistant's turn, labels and errors, and how many precede the first mistake.

    An error stands where a mark first turns false: once in an answer, once in each wrong line of a drill.
    """
    labels: Marks = []
    errors: Marks = []
    trusted: int | None = None if answer.is_answer else 0
    sound = True
    for verdict, marks in zip(answer.verdicts, answer.marks, strict=True):
        sound = sound or not answer.is_answer
        first = marks.index(False) if False in marks else len(marks)
        if trusted is None and not verdict:
            trusted = len(labels) + (first if False in marks else 0)
        labels += [*marks, *[verdict] * len(STEP_TAG)]
        here: Marks = [None if mark is None else not mark for mark in marks[: first + 1]] if sound else []
        errors += [*here, *[None] * (len(marks) - len(here) + len(STEP_TAG))]
        sound = sound and verdict
    return labels, errors, len(labels) if trusted is None else trusted

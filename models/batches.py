"""Token rows with a weight for each predicted token, and batches of few fixed shapes."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from models.chats import Chat
from models.tokenizer import PAD, TURN_END, TURN_START

Item = TypeVar("Item")

# Few shapes, so that torch.compile builds few kernels.
LENGTHS = (64, 96, 128, 160, 192, 256, 320)

UNLABELLED = -1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence.

    Attributes:
        ids: Token ids.
        weights: One a token: how much predicting it counts.
        labels: One a token: 1 where everything up to it is right, 0 where it is not, `UNLABELLED` where nobody says.
        errors: One a token: 1 where a mistake happens, 0 where none has happened yet, `UNLABELLED` elsewhere.
    """

    ids: list[int]
    weights: list[float]
    labels: list[float]
    errors: list[float]


Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def chat_rows(tokenizer: PreTrainedTokenizerFast, chats: Iterable[Chat], question_weight: float) -> Iterator[Row]:
    """Turn each chat into tokens; assistant turns weigh 1 (their end included), other turns `question_weight`."""
    encode = lru_cache(maxsize=64)(lambda text: tokenizer.encode(text, add_special_tokens=False))
    for chunk in batched(chats, 2000):
        contents = [message["content"] + TURN_END for chat in chunk for message in chat.messages]
        bodies = iter(tokenizer(contents, add_special_tokens=False)["input_ids"])
        for chat in chunk:
            yield _chat_row(chat, encode, bodies, question_weight)


def _chat_row(
    chat: Chat, encode: Callable[[str], list[int]], bodies: Iterator[list[int]], question_weight: float
) -> Row:
    ids: list[int] = []
    weights: list[float] = []
    for message in chat.messages:
        head, body, tail = encode(f"{TURN_START}{message['role']}\n"), next(bodies), encode("\n")
        weight = 1.0 if message["role"] == "assistant" else question_weight
        if chat.kind == "sums" and message["role"] == "assistant":
            weighed = _result_weights(body, *encode("="), *encode("."))
        else:
            weighed = [weight] * len(body)
        ids += [*head, *body, *tail]
        weights += [*[0.0] * len(head), *weighed, *[0.0] * len(tail)]
    return Row(ids, weights, [UNLABELLED] * len(ids), [UNLABELLED] * len(ids))


def _result_weights(ids: list[int], equals: int, stop: int) -> list[float]:
    """Weigh what stands after an equals sign, up to the full stop: the operands of a drill are mere chance."""
    weights, inside = [], False
    for token in ids:
        weights.append(float(inside))
        inside = token == equals or (inside and token != stop)
    return weights


def batches(rows: Iterable[Row], pad_id: int, tokens: int, rng: random.Random) -> Iterator[Batch]:
    """Gather rows of like length into batches of about `tokens` tokens each, in the order in which they fill up.

    Rows longer than the longest length are dropped, and so are the last incomplete batches.

    Yields:
        What `pad` returns.
    """
    waiting: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        length = next((length for length in LENGTHS if len(row.ids) <= length), None)
        if length is None:
            continue
        bucket = waiting[length]
        bucket.append(row)
        if len(bucket) == max(1, tokens // length):
            rng.shuffle(bucket)
            yield pad(bucket, length, pad_id)
            bucket.clear()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut `items` into lists of `size`, the last one perhaps shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def pad(rows: Sequence[Row], length: int, pad_id: int) -> Batch:
    """Stack rows into ids, weights, labels and errors, each (rows, length), padded on the right.

    The padding is `pad_id`, 0, `UNLABELLED` and `UNLABELLED`.
    """
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    weights = torch.zeros((len(rows), length))
    labels, errors = torch.full((2, len(rows), length), UNLABELLED)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        weights[index, : len(row.ids)] = torch.tensor(row.weights)
        labels[index, : len(row.ids)] = torch.tensor(row.labels)
        errors[index, : len(row.ids)] = torch.tensor(row.errors)
    return ids, weights, labels, errors


def pad_id_of(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the padding token."""
    return int(tokenizer.convert_tokens_to_ids(PAD))

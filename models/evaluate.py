"""The recipe's own examination: held-out accuracy of the language model and discrimination of the reward model."""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from models.batches import LENGTHS, UNLABELLED, Row, pad
from models.chats import ask
from models.network import LanguageModel, ProcessRewardModel
from models.problems import Record, check
from models.problems.expression import last_boxed
from models.reward_rows import reward_rows
from models.sampling import Sampler
from models.step_targets import judged
from models.tokenizer import STEP_TAG, TURN_END

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the reward model says of one answer.

    Attributes:
        values: One probability of being right a step, 0 to 1.
        labels: The exact label of each step, 1 or 0.
    """

    values: list[float]
    labels: list[float]


def prompt_ids(tokenizer: PreTrainedTokenizerFast, record: Record) -> list[int]:
    """Return the tokens of the question, up to where the assistant speaks."""
    text = tokenizer.apply_chat_template(ask(record), tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def answers(
    model: LanguageModel,
    tokenizer: PreTrainedTokenizerFast,
    records: Sequence[Record],
    samples: int,
    temperature: float,
    seed: int,
    progress: Progress | None = None,
) -> list[list[str]]:
    """Return `samples` answer texts for each problem."""
    sampler = Sampler(model, int(tokenizer.convert_tokens_to_ids(TURN_END)), seed)
    prompts = [prompt for record in records for prompt in [prompt_ids(tokenizer, record)] * samples]
    texts = tokenizer.batch_decode(sampler(prompts, temperature, progress=progress), skip_special_tokens=True)
    return [texts[start : start + samples] for start in range(0, len(texts), samples)]


def score(
    model: ProcessRewardModel, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[Record, str]]
) -> list[Scores | None]:
    """Score every step of every (problem, answer) pair; None where the answer is too long to be read."""
    network = copy.deepcopy(model).bfloat16().eval()
    device = next(network.parameters()).device
    # An untrained model may write the tag itself; a tag that ends no step would have no label.
    rows = list(reward_rows(tokenizer, (judged(record, text.replace(STEP_TAG, "")) for record, text in pairs)))
    tag = int(tokenizer.convert_tokens_to_ids(STEP_TAG))
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        length = next((length for length in LENGTHS if len(row.ids) <= length), None)
        if length is not None:
            by_length[length].append(index)
    found: list[Scores | None] = [None] * len(rows)
    for length, indices in by_length.items():
        for start in range(0, len(indices), 128):
            chosen = indices[start : start + 128]
            ids = pad([rows[i] for i in chosen], length, 0)[0]
            with torch.inference_mode():
                logits = network(ids.to(device), dtype=torch.bfloat16)
            right = torch.softmax(logits.float(), -1)[..., 1].cpu().tolist()
            for index, values in zip(chosen, right, strict=True):
                found[index] = _scores_of(rows[index], values, tag)
    return found


def _scores_of(row: Row, values: Sequence[float], tag: int) -> Scores:
    read = zip(row.ids, values, row.labels, strict=False)
    tagged = [(value, label) for token, value, label in read if token == tag and label != UNLABELLED]
    return Scores([value for value, _ in tagged], [label for _, label in tagged])


def auroc(values: Sequence[float], labels: Sequence[float]) -> float:
    """Return the chance that a right step scores above a wrong one, ties counting half; NaN without both kinds."""
    wrong = torch.tensor([v for v, label in zip(values, labels, strict=True) if not label], dtype=torch.float64)
    right = torch.tensor([v for v, label in zip(values, labels, strict=True) if label], dtype=torch.float64)
    if len(wrong) == 0 or len(right) == 0:
        return float("nan")
    wrong = wrong.sort().values
    below = torch.searchsorted(wrong, right, side="left") + torch.searchsorted(wrong, right, side="right")
    return float(below.double().mean() / 2 / len(wrong))


def step_auroc(scores: Sequence[Scores | None]) -> float:
    """Pool the steps of all answers into one AUROC."""
    kept = [item for item in scores if item is not None]
    return auroc([v for item in kept for v in item.values], [v for item in kept for v in item.labels])


def accuracy(records: Sequence[Record], chosen: Sequence[str]) -> float:
    """Return the share of problems that the chosen answer solves."""
    return sum(check(record, text) for record, text in zip(records, chosen, strict=True)) / len(records)


def pass_rate(records: Sequence[Record], samples: Sequence[Sequence[str]]) -> float:
    """Return the share of problems with at least one right sample."""
    solved = (any(check(record, text) for text in texts) for record, texts in zip(records, samples, strict=True))
    return sum(solved) / len(records)


def vote(texts: Sequence[str], weights: Sequence[float]) -> str:
    """Return a text with the boxed answer of the greatest total weight; the first such answer wins a tie."""
    totals: Counter[str] = Counter()
    for text, weight in zip(texts, weights, strict=True):
        boxed = last_boxed(text)
        if boxed is not None:
            totals[boxed] += weight  # type: ignore[assignment]
    if not totals:
        return texts[0]
    winner = max(totals, key=lambda boxed: totals[boxed])
    return next(text for text in texts if last_boxed(text) == winner)


def examine(
    records: Sequence[Record],
    greedy: Sequence[Sequence[str]],
    samples: Sequence[Sequence[str]],
    scores: Sequence[Sequence[Scores | None]],
) -> dict[str, float]:
    """Return every figure of one family.

    Args:
        records: Held-out problems.
        greedy: One answer each.
        samples: N answers each.
        scores: The reward model's scores of those N answers.
    """
    last = [[item.values[-1] if item and item.values else 0.0 for item in row] for row in scores]
    best = [texts[max(range(len(texts)), key=row.__getitem__)] for texts, row in zip(samples, last, strict=True)]
    majority = [vote(texts, [1.0] * len(texts)) for texts in samples]
    weighted = [vote(texts, row) for texts, row in zip(samples, last, strict=True)]
    flat = [item for row in scores for item in row]
    ends = [(item.values[-1], item.labels[-1]) for item in flat if item and item.values]
    return {
        "problems": len(records),
        "greedy": accuracy(records, [texts[0] for texts in greedy]),
        "mean_of_samples": sum(accuracy(records, column) for column in zip(*samples, strict=True)) / len(samples[0]),
        "pass_at_n": pass_rate(records, samples),
        "majority": accuracy(records, majority),
        "best_of_n": accuracy(records, best),
        "weighted_best_of_n": accuracy(records, weighted),
        "step_auroc": step_auroc(flat),
        "final_step_auroc": auroc([value for value, _ in ends], [label for _, label in ends]),
    }

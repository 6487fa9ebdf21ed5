"""The stages of the recipe, each a function of the one before: tokenizer, language model, reward model, examination."""

import random
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PreTrainedTokenizerFast

from models.batches import Row, batches, chat_rows, pad_id_of
from models.chats import training_chats
from models.evaluate import answers, examine, score, step_auroc
from models.mistakes import made_up_answers
from models.network import LanguageModel, NetworkShape, ProcessRewardModel
from models.problems import KINDS, Kind, Record, generate
from models.recipe import Recipe
from models.reward_rows import UNLABELLED, reward_rows
from models.sampling import shuffled_seed
from models.tokenizer import train_tokenizer
from models.train_lm import language_loss, optimise
from models.train_prm import reward_loss, reward_model_from

_HEAD_SIZE = 64
_EXAM_SEED_PURPOSE = "exam"


class Bar(Protocol):
    """A progress bar: `by` so many units, with a remark."""

    def __call__(self, by: int, remark: str = "") -> None:
        """Move the bar."""


StartBar = Callable[[str, int], Bar]


def make_tokenizer(recipe: Recipe, seed: int, work: Path) -> PreTrainedTokenizerFast:
    """Learn the tokenizer from chats of the train split, or read the one that checkpoints in `work` belong to."""
    kept = work / "tokenizer"
    if kept.exists():
        loaded: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(kept)
        return loaded
    chats = training_chats(20_000, shuffled_seed(seed, "tokenizer"))
    texts = [message[part] for chat in chats for message in chat.messages for part in ("role", "content")]
    tokenizer = train_tokenizer(texts, recipe.vocab_size)
    tokenizer.save_pretrained(kept)
    return tokenizer


def make_language_model(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int, device: torch.device, start: StartBar, work: Path
) -> tuple[LanguageModel, list[float]]:
    """Train the language model on fresh chats, no chat twice; returns it and the loss of every step."""
    torch.manual_seed(seed)
    shape = NetworkShape(
        # Whole multiples of 64 rows keep matrix kernels on their fast path.
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=recipe.hidden_size,
        num_layers=recipe.num_layers,
        num_heads=recipe.hidden_size // _HEAD_SIZE,
        num_kv_heads=max(1, recipe.hidden_size // _HEAD_SIZE // 2),
        intermediate_size=recipe.intermediate_size,
    )
    model = LanguageModel(shape).to(device)
    steps = recipe.language.steps
    # Chats are longer than 80 tokens on average, so these suffice; they are drawn lazily.
    chats = training_chats(1000 + steps * recipe.batch_tokens // 80, shuffled_seed(seed, "chats"))
    rows = chat_rows(tokenizer, chats, recipe.question_weight)
    data = batches(rows, pad_id_of(tokenizer), recipe.batch_tokens, random.Random(seed))
    bar = start("language model", steps)
    losses = optimise(
        _compiled(language_loss(model), steps),
        model,
        data,
        recipe.language,
        device,
        lambda _, loss: bar(1, f"loss {loss:.3f}"),
        work / "language.pt",
    )
    return model, losses


def make_reward_model(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    language_model: LanguageModel,
    seed: int,
    device: torch.device,
    start: StartBar,
    work: Path,
) -> tuple[ProcessRewardModel, list[float]]:
    """Train the reward model on the language model's own answers and on made-up ones; returns it and its losses."""
    sampled = list(reward_rows(tokenizer, _sampled_answers(recipe, tokenizer, language_model, seed, start), dense=True))
    made_up = reward_rows(tokenizer, _made_up_answers(recipe, seed), dense=True)
    model = reward_model_from(language_model, recipe.reward_extra_layers, seed)
    rows = _mixed(_endless(sampled, seed), made_up, recipe.reward_sampled_share, random.Random(f"{seed} mixed"))
    data = batches(rows, pad_id_of(tokenizer), recipe.batch_tokens, random.Random(seed), UNLABELLED)
    steps = recipe.reward.steps
    bar = start("reward model", steps)
    losses = optimise(
        _compiled(reward_loss(model), steps),
        model,
        data,
        recipe.reward,
        device,
        lambda _, loss: bar(1, f"loss {loss:.3f}"),
        work / "reward.pt",
    )
    return model, losses


def _sampled_answers(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, language_model: LanguageModel, seed: int, start: StartBar
) -> Iterator[tuple[Record, str]]:
    """Let the language model answer problems of the train split; one text teaches once, however often it came."""
    for kind in KINDS:
        # A seed of its own: mostly problems that the language model has not met, so that its answers show true slips.
        records = list(generate(kind, recipe.reward_problems, shuffled_seed(seed, "reward"), "train"))
        bar = start(f"{kind} answers to label", len(records) * recipe.reward_samples)
        samples = answers(
            language_model,
            tokenizer,
            records,
            recipe.reward_samples,
            recipe.temperature,
            shuffled_seed(seed, kind),
            bar,
        )
        for record, texts in zip(records, samples, strict=True):
            yield from ((record, text) for text in dict.fromkeys(texts))


def _made_up_answers(recipe: Recipe, seed: int) -> Iterator[tuple[Record, str]]:
    """Make up answers to problems of both families in turn, as many as training can use."""
    # Conversations are longer than 60 tokens, so these suffice; they are drawn lazily.
    count = 1000 + recipe.reward.steps * recipe.batch_tokens // 60
    streams = [
        made_up_answers(random.Random(f"{seed} {kind}"), generate(kind, count, shuffled_seed(seed, "made up"), "train"))
        for kind in KINDS
    ]
    return chain.from_iterable(zip(*streams, strict=True))


def examine_all(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    language_model: LanguageModel,
    reward_model: ProcessRewardModel,
    seed: int,
    start: StartBar,
) -> dict[str, Any]:
    """Examine both models on held-out problems of each family; returns the figures by family and overall."""
    figures: dict[str, Any] = {}
    everything = []
    for kind in KINDS:
        records = exam_records(kind, recipe.exam_problems, seed)
        bar = start(f"{kind} exam", len(records) * (recipe.exam_samples + 1))
        greedy = answers(language_model, tokenizer, records, 1, 0.0, seed, bar)
        samples = answers(
            language_model, tokenizer, records, recipe.exam_samples, recipe.serving_temperature, seed, bar
        )
        pairs = [(record, text) for record, texts in zip(records, samples, strict=True) for text in texts]
        flat = score(reward_model, tokenizer, pairs)
        scores = [flat[first : first + recipe.exam_samples] for first in range(0, len(flat), recipe.exam_samples)]
        figures[kind] = examine(records, greedy, samples, scores)
        everything += flat
    figures["step_auroc"] = step_auroc(everything)
    return figures


def exam_records(kind: Kind, problems: int, seed: int) -> list[Record]:
    """Return the held-out problems that a run with `seed` is examined on."""
    return list(generate(kind, problems, shuffled_seed(seed, _EXAM_SEED_PURPOSE), "heldout"))


def _mixed(sampled: Iterator[Row], made_up: Iterator[Row], share: float, rng: random.Random) -> Iterator[Row]:
    while True:
        yield next(sampled if rng.random() < share else made_up)


def _endless(rows: list[Row], seed: int) -> Iterator[Row]:
    rng = random.Random(seed)
    return chain.from_iterable(rng.sample(rows, len(rows)) for _ in count())


def _compiled(loss_of: Callable[..., torch.Tensor], steps: int) -> Callable[..., torch.Tensor]:
    """Compile a loss whose training is long enough to win back the minute that compiling takes."""
    if steps < 1000:
        return loss_of
    compiled: Callable[..., torch.Tensor] = torch.compile(loss_of, dynamic=False)
    return compiled

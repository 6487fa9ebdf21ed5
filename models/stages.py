"""The stages of the recipe: tokenizer, trunk, then language model and reward model from the trunk, examination."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PreTrainedTokenizerFast

from models.batches import Row, batches, chat_rows, pad_id_of
from models.chats import training_chats
from models.comparing import SIGNS, begin_reward_model
from models.evaluate import answers, examine, score, step_auroc
from models.judged import made_up
from models.losses import Loss, language_loss, reward_loss
from models.network import LanguageModel, NetworkShape, ProcessRewardModel
from models.optimise import Schedule, optimise
from models.problems import KINDS, Kind, Record, generate
from models.recipe import Recipe
from models.reward_rows import reward_rows
from models.sampling import shuffled_seed
from models.step_targets import judged
from models.tokenizer import STEP_TAG, train_tokenizer

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


class Course:
    """What every stage of training shares: the recipe, the tokenizer, the seed, the device and where to keep things."""

    def __init__(
        self,
        recipe: Recipe,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        device: torch.device,
        start: StartBar,
        work: Path,
    ) -> None:
        """Keep the arguments.

        Args:
            recipe: Sizes and lengths.
            tokenizer: Of both models.
            seed: Fixes data, initial weights and sampling.
            device: Where to compute.
            start: Opens a progress bar.
            work: Where checkpoints are kept; a stage that finds its own goes on from it.
        """
        self.recipe, self.tokenizer, self.seed = recipe, tokenizer, seed
        self.device, self.start, self.work = device, start, work

    def trunk(self) -> tuple[LanguageModel, list[float]]:
        """Train the network that both models grow from, in both layouts; returns it and the loss of every step."""
        torch.manual_seed(self.seed)
        recipe = self.recipe
        shape = NetworkShape(
            # Whole multiples of 64 rows keep matrix kernels on their fast path.
            vocab_size=-(-len(self.tokenizer) // 64) * 64,
            hidden_size=recipe.hidden_size,
            num_layers=recipe.num_layers,
            num_heads=recipe.hidden_size // _HEAD_SIZE,
            num_kv_heads=max(1, recipe.hidden_size // _HEAD_SIZE // 2),
            intermediate_size=recipe.intermediate_size,
        )
        trunk = LanguageModel(shape).to(self.device)
        return trunk, self._teach("trunk", trunk, self._both_layouts("trunk", recipe.trunk_mix), recipe.trunk)

    def language_model(self, trunk: LanguageModel) -> tuple[LanguageModel, list[float]]:
        """Train the trunk on with chats alone, its rate falling; returns the language model and its losses."""
        model = copy.deepcopy(trunk)
        rows = self._chats("language", self.recipe.language_mix)
        return model, self._teach("language model", model, rows, self.recipe.language)

    def reward_model(
        self, trunk: LanguageModel, language_model: LanguageModel
    ) -> tuple[ProcessRewardModel, list[float]]:
        """Train the trunk on, longer; then blocks that judge, above it; returns the reward model and its losses.

        A judge should know more than those whom it judges, so what it knows of language is its own. What the judging
        blocks learn from are the language model's answers, and made-up ones.
        """
        recipe = self.recipe
        reader = copy.deepcopy(trunk)
        self._teach("reader", reader, self._both_layouts("reader", recipe.reader_mix), recipe.reader)
        signs = [int(self.tokenizer.convert_tokens_to_ids(sign)) for sign in SIGNS]
        network = begin_reward_model(reader, self._made_up("calibration"), signs, recipe.reward_extra_layers, self.seed)
        sampled = list(reward_rows(self.tokenizer, (judged(*pair) for pair in self._sampled_answers(language_model))))
        rows = self._mixed(
            "answers", recipe.reward_sampled_share, _endless(sampled, self.seed), self._made_up("reward")
        )
        loss_of = reward_loss(network, int(self.tokenizer.convert_tokens_to_ids(STEP_TAG)))
        return network.model, self._fit("reward model", network.model, loss_of, rows, recipe.reward)

    def _teach(self, name: str, model: LanguageModel, rows: Iterator[Row], schedule: Schedule) -> list[float]:
        return self._fit(name, model, language_loss(model), rows, schedule)

    def _fit(
        self, name: str, model: torch.nn.Module, loss_of: Loss, rows: Iterator[Row], schedule: Schedule
    ) -> list[float]:
        bar = self.start(name, schedule.steps)
        return optimise(
            _compiled(loss_of, schedule.steps),
            model,
            batches(rows, pad_id_of(self.tokenizer), self.recipe.batch_tokens, random.Random(f"{self.seed} {name}")),
            schedule,
            self.device,
            lambda _, loss: bar(1, f"loss {loss:.3f}"),
            self.work / f"{name.replace(' ', '-')}.pt",
        )

    def _both_layouts(self, purpose: str, mix: Mapping[str, float]) -> Iterator[Row]:
        """Return chats, and answers laid out for the reward model, which teach language up to their first mistake."""
        return self._mixed(purpose, self.recipe.reward_layout_share, self._made_up(purpose), self._chats(purpose, mix))

    def _chats(self, purpose: str, mix: Mapping[str, float]) -> Iterator[Row]:
        """Return chats without end, no chat twice in a stage."""
        chats = training_chats(10**9, shuffled_seed(self.seed, f"{purpose} chats"), mix)
        return chat_rows(self.tokenizer, chats, self.recipe.question_weight)

    def _made_up(self, purpose: str) -> Iterator[Row]:
        return reward_rows(self.tokenizer, made_up(shuffled_seed(self.seed, f"{purpose} made up")))

    def _mixed(self, purpose: str, share: float, some: Iterator[Row], others: Iterator[Row]) -> Iterator[Row]:
        rng = random.Random(f"{self.seed} {purpose} mixed")
        while True:
            yield next(some if rng.random() < share else others)

    def _sampled_answers(self, language_model: LanguageModel) -> Iterator[tuple[Record, str]]:
        """Let the language model answer problems of the train split; one text teaches once, however often it came."""
        recipe = self.recipe
        for kind in KINDS:
            # A seed of its own: mostly problems that the model has not met, so that its answers show true slips.
            records = list(generate(kind, recipe.reward_problems, shuffled_seed(self.seed, "reward"), "train"))
            bar = self.start(f"{kind} answers to label", len(records) * recipe.reward_samples)
            samples = answers(
                language_model,
                self.tokenizer,
                records,
                recipe.reward_samples,
                recipe.temperature,
                shuffled_seed(self.seed, kind),
                bar,
            )
            for record, texts in zip(records, samples, strict=True):
                # An untrained model may write the tag itself; a tag that ends no step would have no label.
                yield from ((record, text) for text in dict.fromkeys(text.replace(STEP_TAG, "") for text in texts))


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


def _endless(rows: list[Row], seed: int) -> Iterator[Row]:
    rng = random.Random(seed)
    return chain.from_iterable(rng.sample(rows, len(rows)) for _ in count())


def _compiled(loss_of: Callable[..., torch.Tensor], steps: int) -> Callable[..., torch.Tensor]:
    """Compile a loss whose training is long enough to win back the minute that compiling takes."""
    if steps < 400:
        return loss_of
    # One kernel a shape and stage; at its usual limit of eight, torch would silently stop compiling.
    torch._dynamo.config.recompile_limit = 64  # noqa: SLF001  (torch's documented name for it)
    compiled: Callable[..., torch.Tensor] = torch.compile(loss_of, dynamic=False)
    return compiled

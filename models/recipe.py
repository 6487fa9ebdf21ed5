"""Sizes and lengths of the recipe: `full` makes the bundled pair, `short` shows in a minute that it works."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.optimise import Schedule


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes the result, besides the seed.

    Attributes:
        vocab_size: Most tokens of the tokenizer.
        hidden_size: Width of the network; the heads have 64 channels.
        num_layers: Its depth.
        intermediate_size: Width inside the feed-forward layers.
        batch_tokens: Tokens per optimiser step.
        question_weight: Weight of predicting a question's token, an answer's being 1.
        reward_layout_share: Share of the trunk's and the reader's rows that are laid out for the reward model.
        trunk: Schedule of what both models grow from.
        language: Schedule of the language model, which goes on from there with chats alone.
        trunk_mix: How many times as often as `models.chats.MIX` says some kinds of chats come in the trunk.
        language_mix: The same in the language model's own stage. Countdowns come more often, because a search among
            numbers takes longer to learn than a plan.
        reader_mix: The same in the reader's own stage.
        reader: Schedule of what the reward model knows of language, which goes on from there too, longer.
        reward: Schedule of the blocks that judge, above the reader, which stays as it is.
        reward_extra_layers: How many blocks stand above the reader: one that compares, and those that judge.
        reward_problems: Train-split problems of each family whose answers teach the reward model.
        reward_samples: Answers sampled for each of them.
        reward_sampled_share: Share of those answers in its judged rows, the rest being made up; they come round again.
        exam_problems: Held-out problems of each family in the report.
        exam_samples: Answers sampled for each of them.
        temperature: Of the answers that teach the reward model.
        serving_temperature: Of the examination's samples, and the default that the model is saved with.
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    intermediate_size: int
    batch_tokens: int
    question_weight: float
    reward_layout_share: float
    trunk: Schedule
    language: Schedule
    trunk_mix: Mapping[str, float]
    language_mix: Mapping[str, float]
    reader_mix: Mapping[str, float]
    reader: Schedule
    reward: Schedule
    reward_extra_layers: int
    reward_problems: int
    reward_samples: int
    reward_sampled_share: float
    exam_problems: int
    exam_samples: int
    temperature: float
    serving_temperature: float


FULL = Recipe(
    vocab_size=1536,
    hidden_size=256,
    num_layers=4,
    intermediate_size=768,
    batch_tokens=4096,
    question_weight=0.1,
    reward_layout_share=0.15,
    trunk=Schedule(steps=2400, peak_rate=4e-3, warmup=60, decay_share=0.0),
    language=Schedule(steps=1200, peak_rate=4e-3, warmup=20, decay_share=0.6),
    trunk_mix={"sums": 0.4},
    language_mix={"countdown": 2.5, "sums": 0.4},
    reader_mix={"countdown": 2.0, "endgame": 2.0, "sums": 1.5},
    reader=Schedule(steps=3600, peak_rate=4e-3, warmup=20, decay_share=0.6),
    reward=Schedule(steps=3600, peak_rate=4e-3, warmup=20, decay_share=0.6),
    reward_extra_layers=3,
    reward_problems=2000,
    reward_samples=4,
    reward_sampled_share=0.5,
    exam_problems=500,
    exam_samples=16,
    temperature=1.0,
    serving_temperature=1.0,
)

SHORT = replace(
    FULL,
    hidden_size=64,
    num_layers=2,
    intermediate_size=128,
    batch_tokens=2048,
    trunk=Schedule(steps=100, peak_rate=5e-3, warmup=10, decay_share=0.0),
    language=Schedule(steps=60, peak_rate=5e-3, warmup=5),
    reader=Schedule(steps=60, peak_rate=5e-3, warmup=5),
    reward=Schedule(steps=60, peak_rate=3e-3, warmup=5),
    reward_problems=40,
    reward_samples=2,
    exam_problems=20,
    exam_samples=2,
)

PRESETS = {"full": FULL, "short": SHORT}

"""Sizes and lengths of the recipe: `full` makes the bundled pair, `short` shows in a minute that it works."""

from dataclasses import dataclass, replace

from models.train_lm import Schedule


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes the result, besides the seed.

    Attributes:
        vocab_size: Most tokens of the tokenizer.
        hidden_size: Width of both networks; the heads have 64 channels.
        num_layers: Depth of the language model.
        intermediate_size: Width inside the feed-forward layers.
        batch_tokens: Tokens per optimiser step.
        question_weight: Weight of predicting a question's token, an answer's being 1.
        language: Schedule of the language model.
        reward_problems: Train-split problems of each family whose answers teach the reward model.
        reward_samples: Answers sampled for each of them.
        reward_sampled_share: Share of those answers in its training, the rest being made up; they come round again.
        reward_extra_layers: Fresh layers of the reward model above the layers of the language model.
        reward: Schedule of the reward model.
        exam_problems: Held-out problems of each family in the report.
        exam_samples: Answers sampled for each of them.
        temperature: Of the answers that teach the reward model; high, to show it many slips.
        serving_temperature: Of the examination's samples, and the default that the model is saved with.
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    intermediate_size: int
    batch_tokens: int
    question_weight: float
    language: Schedule
    reward_problems: int
    reward_samples: int
    reward_sampled_share: float
    reward_extra_layers: int
    reward: Schedule
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
    language=Schedule(steps=3600, peak_rate=4e-3, warmup=60, decay_share=0.45),
    reward_problems=1200,
    reward_samples=4,
    reward_sampled_share=0.35,
    reward_extra_layers=2,
    reward=Schedule(steps=3000, peak_rate=2e-3, decay_share=0.6, warmup=60),
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
    language=Schedule(steps=150, peak_rate=5e-3, warmup=10),
    reward_problems=40,
    reward_samples=2,
    reward_extra_layers=1,
    reward=Schedule(steps=60, peak_rate=3e-3, warmup=5),
    exam_problems=20,
    exam_samples=2,
)

PRESETS = {"full": FULL, "short": SHORT}

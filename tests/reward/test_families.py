"""Every family of process reward models: layout and reading against hand-computed logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.errors import InvalidRequest, RewardCallFailed, StartupError, StepMismatch
from mcts.ports import FloatArray, Message, Prompt, Tokenizer
from reward.conventions import Family, LabelConvention
from reward.families import (
    FAMILIES,
    GENERATIVE,
    MATH_SHEPHERD,
    OUTCOME,
    QWEN_MATH,
    RLHFLOW_DEEPSEEK,
    RLHFLOW_MISTRAL,
    RLHFLOW_ORM,
    SKYWORK_O1,
    family_for,
)
from reward.labelled import LabelReward
from reward.process import ProcessReward
from reward.registry import LoadedModel, Reading
from tests.reward.fakes import NEWLINE, CharacterTokenizer, LabelLogits, LogitEngine, PieceTokenizer, path

LN3 = float(np.log(3))


def by_ending(table: dict[str, tuple[float, float]]):
    """Logits of (good, bad) looked up by how a prompt ends."""
    return lambda text: next(logits for ending, logits in table.items() if text.endswith(ending))


def labelled(reader: LabelLogits, family: LabelConvention, aggregate: str = "") -> LabelReward:
    """A reward of a family over a fake reader."""
    return LabelReward(reader, reader.tokenizer, family, aggregate)


# Math-Shepherd


async def test_math_shepherd_reads_plus_against_minus_at_each_tag() -> None:
    """Softmax of (ln 3, 0) over the two labels is 3/4, of (0, ln 3) is 1/4, whatever the rest of the vocabulary gets.

    The path is worth its worst step: min(3/4, 1/4).
    """
    reader = LabelLogits(PieceTokenizer(), by_ending({"One. ки": (LN3, 0), "Two. ки": (0, LN3)}))
    (score,) = await labelled(reader, MATH_SHEPHERD).score([path("One.\n\nTwo.")])
    assert score.steps == pytest.approx((0.75, 0.25))
    assert score.value == pytest.approx(0.25)
    assert reader.labels == (648, 387)
    assert reader.asked == ["<s> What is 1 + 1? One. ки", "<s> What is 1 + 1? One. ки\nTwo. ки"]


async def test_math_shepherds_prompts_end_in_its_tag_and_extend_each_other() -> None:
    """The last token of every prompt is 12902, and the second prompt begins with the whole first: one cached prefix."""
    asked: list[Sequence[int]] = []

    class Recorder(LabelLogits):
        async def label_logprobs(self, prompts: Sequence[Sequence[int]], label_ids: Sequence[int]) -> FloatArray:
            """Keeps the token ids."""
            asked.extend(prompts)
            return await super().label_logprobs(prompts, label_ids)

    await labelled(Recorder(PieceTokenizer(), lambda _: (0, 0)), MATH_SHEPHERD).score([path("a\n\nb")])
    assert [prompt[-1] for prompt in asked] == [12902, 12902]
    assert [prompt[0] for prompt in asked] == [1, 1]
    assert asked[1][: len(asked[0])] == asked[0]


async def test_russian_words_are_no_step_tags() -> None:
    """The word "кино" begins with the tag's very token, and "руки" ends like it: neither shifts a score."""
    reader = LabelLogits(PieceTokenizer(), by_ending({"руки ки": (LN3, 0), "Да. ки": (0, LN3)}))
    prompt = Prompt((1,), messages=(Message("user", "Что такое кино и ки ?"),))
    (score,) = await labelled(reader, MATH_SHEPHERD).score([path("Любит кино, мыл руки\n\nДа.", prompt)])
    assert score.steps == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize("text", ["One. ки\nTwo. ки", "One. ки\nTwo. ки\n", "One.\n\nTwo.\n\n", "One. ки\n\nTwo."])
async def test_steps_end_at_the_familys_tag_or_at_a_blank_line(text: str) -> None:
    """What Math-Shepherd's own generator writes and what any other model writes are split alike; D3: no empty step."""
    reader = LabelLogits(PieceTokenizer(), lambda _: (0, 0))
    (score,) = await labelled(reader, MATH_SHEPHERD).score([path(text)])
    assert len(score.steps) == 2
    assert reader.asked[-1] == "<s> What is 1 + 1? One. ки\nTwo. ки"


async def test_tokenizer_that_does_not_end_in_the_tag_is_an_error() -> None:
    """Reading at another token would give a score that means nothing."""

    class Merging(PieceTokenizer):
        def encode(self, text: str) -> list[int]:
            """Ends long texts with another token."""
            return [*super().encode(text), 7][: None if len(text) > 5 else -1]

    with pytest.raises(StepMismatch, match="does not end with the step tag"):
        await labelled(LabelLogits(Merging(), lambda _: (0, 0)), MATH_SHEPHERD).score([path("a")])


# RLHFlow


async def test_rlhflow_asks_in_a_chat_of_one_turn_per_step() -> None:
    """Question and first step are one user turn, later steps a turn each, every verdict before the last is "+".

    Steps (3/4, 1/4, 1/2): the mean is 1/2.
    """
    logits = by_ending({"One.|assistant:": (LN3, 0), "Two.|assistant:": (0, LN3), "end|assistant:": (1, 1)})
    reader = LabelLogits(CharacterTokenizer(), logits)
    (score,) = await labelled(reader, RLHFLOW_DEEPSEEK).score([path("One.\n\nTwo.\n\nThe end")])
    assert score.steps == pytest.approx((0.75, 0.25, 0.5))
    assert score.value == pytest.approx(0.5)
    assert reader.asked[2] == ("user:What is 1 + 1? One.|assistant:+|user:Two.|assistant:+|user:The end|assistant:")
    assert reader.labels == (ord("+"), ord("-"))


async def test_rlhflow_mistral_splits_as_its_generator_writes() -> None:
    """Steps that end in "ки" lose it; blank lines count as well."""
    reader = LabelLogits(CharacterTokenizer(), lambda _: (0, 0))
    await labelled(reader, RLHFLOW_MISTRAL).score([path("One. ки\nTwo. ки\n")])
    assert reader.asked[1] == "user:What is 1 + 1? One.|assistant:+|user:Two.|assistant:"


async def test_rlhflows_outcome_model_judges_the_whole_answer() -> None:
    """One user turn of question and answer, blank lines and all; (ln 3, 0) is 3/4."""
    reader = LabelLogits(CharacterTokenizer(), lambda _: (LN3, 0))
    (score,) = await labelled(reader, RLHFLOW_ORM).score([path("One.\n\nTwo.\n\n")])
    assert reader.asked == ["user:What is 1 + 1? One.\n\nTwo.|assistant:"]
    assert (score.value, score.steps) == (pytest.approx(0.75), pytest.approx((0.75,)))


# Skywork


async def test_skywork_reads_the_sigmoid_at_each_steps_line_end() -> None:
    """σ(0) = 1/2, σ(ln 3) = 3/4; the question's own line ends (three) have rows too, which no step reads.

    A line end inside a step is joined away, so it ends no step.
    """
    engine = LogitEngine((9,), (9,), (9,), (0,), (LN3,), tag=NEWLINE)
    prompt = Prompt((1,), messages=(Message("user", "A\nb\nc?"),))
    model = ProcessReward(engine, CharacterTokenizer(), SKYWORK_O1)
    (score,) = await model.score([path("One\nline.\n\nTwo.", prompt)])
    assert engine.asked == ["<|endoftext|>A\nb\nc?\nOne line.\nTwo.\n"]
    assert score.steps == pytest.approx((0.5, 0.75))
    assert score.value == pytest.approx(0.75)


async def test_rows_are_picked_by_the_mask_even_when_zero() -> None:
    """D9: exact zeros are scores; no row is dropped, of the question or of the answer."""
    engine = LogitEngine((-800,), (-800,), (-800,), (800,), tag=NEWLINE)
    prompt = Prompt((1,), messages=(Message("user", "A\nb?"),))
    (score,) = await ProcessReward(engine, CharacterTokenizer(), SKYWORK_O1).score([path("x\n\ny", prompt)])
    assert score.steps == (0.0, 1.0)


async def test_missing_column_is_an_error() -> None:
    """A classifier of one label cannot tell the Qwen family's second."""
    engine = LogitEngine((1,))
    with pytest.raises(StepMismatch, match=r"shape \(1, 1\) for 1 steps"):
        await ProcessReward(engine, CharacterTokenizer(), QWEN_MATH).score([path("a")])


# Generative


async def test_generative_judge_is_asked_about_each_step() -> None:
    """P(Yes) / (P(Yes) + P(No)): logits (ln 3, 0) give 3/4, (0, 0) give 1/2; their mean is 5/8."""
    logits = by_ending({"Is step 1 right?|assistant:": (LN3, 0), "Is step 2 right?|assistant:": (0, 0)})
    reader = LabelLogits(CharacterTokenizer(), logits)
    (score,) = await labelled(reader, GENERATIVE).score([path("One.\n\nTwo.")])
    assert score.steps == pytest.approx((0.75, 0.5))
    assert score.value == pytest.approx(0.625)
    assert reader.labels == (ord("Y"), ord("N"))
    assert "Question:\nWhat is 1 + 1?\n\nSolution so far:\nStep 1: One.\n\nStep 2: Two." in reader.asked[1]
    assert "Two." not in reader.asked[0]


# All of them

LABELLED = [family for family in FAMILIES if isinstance(family, LabelConvention)]


def test_published_aggregates() -> None:
    """Each family's default is its publication's."""
    assert {family.name: family.aggregate for family in FAMILIES} == {
        "qwen-math": "last",
        "math-shepherd": "min",
        "rlhflow-mistral": "mean",
        "rlhflow-deepseek": "mean",
        "rlhflow-orm": "last",
        "skywork-o1": "last",
        "generative": "mean",
        "outcome": "last",
    }


STEPWISE = [family for family in LABELLED if family is not RLHFLOW_ORM]


@pytest.mark.parametrize("family", STEPWISE, ids=lambda family: family.name)
@pytest.mark.parametrize(("rule", "value"), [("last", 0.25), ("min", 0.25), ("product", 0.1875), ("mean", 0.5)])
async def test_every_aggregate_can_be_chosen(family: LabelConvention, rule: str, value: float) -> None:
    """Of the scores 3/4 and 1/4."""
    reader = LabelLogits(PieceTokenizer() if family is MATH_SHEPHERD else CharacterTokenizer(), lambda _: (0, 0))
    reader.logits = lambda text: (0, LN3) if "zwei" in text else (LN3, 0)
    (score,) = await labelled(reader, family, rule).score([path("eins\n\nzwei")])
    assert score.value == pytest.approx(value)


@pytest.mark.parametrize("family", LABELLED, ids=lambda family: family.name)
@pytest.mark.parametrize("text", ["答案是二。\n\n所以 2。", "🙂\n\n🙃\n\n", "def f():\n    return 2", "a" * 5000])
async def test_any_text_is_scored(family: LabelConvention, text: str) -> None:
    """Chinese, emoji, code and endless lines: a number in [0, 1] per step."""
    reader = LabelLogits(CharacterTokenizer(), lambda _: (LN3, 0))
    if family is MATH_SHEPHERD:
        reader = LabelLogits(PieceTokenizer(), lambda _: (LN3, 0))
    (score,) = await labelled(reader, family).score([path(text)])
    assert score.steps == pytest.approx([0.75] * len(score.steps))
    parts = len([part for part in text.split("\n\n") if part])
    assert len(score.steps) == (1 if family is RLHFLOW_ORM else parts)


@pytest.mark.parametrize("family", LABELLED, ids=lambda family: family.name)
async def test_empty_path_is_worth_nothing_and_costs_nothing(family: LabelConvention) -> None:
    """There is no step to judge: 0, without asking the engine."""
    reader = LabelLogits(CharacterTokenizer(), lambda _: (0, 0))
    (score,) = await labelled(reader, family).score([path(" \n\n ")])
    assert (score.value, score.steps, reader.calls) == (0.0, (), 0)


async def test_known_steps_are_not_asked_about_again() -> None:
    """One call asks about every new step once, whatever paths share it; a scored beginning costs nothing."""
    reader = LabelLogits(CharacterTokenizer(), lambda text: (LN3, 0) if "a" in text[-12:] else (0, 0))
    model = labelled(reader, RLHFLOW_DEEPSEEK)
    first = await model.score([path("a\n\nb"), path("a\n\nc"), path("a")])
    assert len(reader.asked) == 3
    again = await model.score([path("a"), path("a\n\nc"), path("a\n\nb\n\nd")])
    assert (len(reader.asked), reader.calls) == (4, 2)
    assert again[0] == first[2]
    assert again[1] == first[1]
    assert again[2].steps[:2] == first[0].steps


async def test_same_steps_to_another_question_are_another_path() -> None:
    """The memory keeps questions apart."""
    reader = LabelLogits(CharacterTokenizer(), lambda text: (LN3, 0) if "A?" in text else (0, LN3))
    model = labelled(reader, RLHFLOW_DEEPSEEK)
    prompts = [Prompt((1,), messages=(Message("user", question),)) for question in ("A?", "B?")]
    scores = await model.score([path("x", prompt) for prompt in prompts])
    assert [score.value for score in scores] == pytest.approx([0.75, 0.25])


class _Wrong(LabelLogits):
    """A reader that gives fixed rows."""

    def __init__(self, *rows: tuple[float, float]) -> None:
        super().__init__(CharacterTokenizer(), lambda _: (0, 0))
        self.rows = np.array(rows, dtype=np.float32)

    async def label_logprobs(self, *_: object) -> FloatArray:
        """The rows, whatever was asked."""
        return self.rows


async def test_wrong_count_of_scores_is_an_error() -> None:
    """D14: a mismatch is never papered over with a neutral score."""
    with pytest.raises(StepMismatch, match=r"\(1, 2\) for 2 steps"):
        await labelled(_Wrong((-1, -1)), RLHFLOW_DEEPSEEK).score([path("a\n\nb")])


@pytest.mark.parametrize("row", [(-np.inf, -np.inf), (np.nan, -1.0), (-1.0, np.nan)])
async def test_labels_without_probability_are_an_error(row: tuple[float, float]) -> None:
    """Neither label possible, or not a number: the call failed; it is no even chance."""
    with pytest.raises(RewardCallFailed, match="no probability to any label"):
        await labelled(_Wrong(row), RLHFLOW_DEEPSEEK).score([path("a")])


async def test_impossible_label_is_a_sure_score() -> None:
    """P(-) = 0 makes the step surely right, and the other way round."""
    assert [score.value for score in await labelled(_Wrong((-1, -np.inf)), RLHFLOW_DEEPSEEK).score([path("a")])] == [1]
    assert [score.value for score in await labelled(_Wrong((-np.inf, -1)), RLHFLOW_DEEPSEEK).score([path("a")])] == [0]


# Finding the family


@pytest.mark.parametrize(
    ("model", "architecture", "family"),
    [
        ("/models/abacus-prm", "Qwen2ForProcessRewardModel", QWEN_MATH),
        ("Qwen/Qwen2.5-Math-PRM-7B", "", QWEN_MATH),
        ("peiyi9979/math-shepherd-mistral-7b-prm", "MistralForCausalLM", MATH_SHEPHERD),
        ("/models/Llama3.1-8B-PRM-Mistral-Data", "LlamaForCausalLM", RLHFLOW_MISTRAL),
        ("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "", RLHFLOW_DEEPSEEK),
        ("RLHFlow/Llama3.1-8B-ORM-Mistral-Data", "LlamaForCausalLM", RLHFLOW_ORM),
        ("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B", "", SKYWORK_O1),
        ("/models/mine", "Qwen2ForPrmModel", SKYWORK_O1),
        ("/models/mine", "LlamaForSequenceClassification", OUTCOME),
        ("Skywork/Skywork-Reward-V2-Qwen3-8B", "", OUTCOME),
    ],
)
def test_families_are_known_by_architecture_or_name(model: str, architecture: str, family: object) -> None:
    """A published model needs no setting."""
    assert family_for(model, architecture) is family


def test_the_settings_have_the_last_word() -> None:
    """A renamed or home-made model is asked as the operator says."""
    assert family_for("/models/mine", "LlamaForCausalLM", "generative") is GENERATIVE


def test_architectures_beat_names() -> None:
    """A folder that is called like one family and holds another is the other; a base model without a head is none."""
    assert family_for("/models/math-shepherd-mistral-7b-prm", "Qwen2ForProcessRewardModel") is QWEN_MATH
    with pytest.raises(StartupError, match="Qwen2ForTokenClassification"):
        family_for("/models/mine", "Qwen2ForTokenClassification")


@pytest.mark.parametrize(("model", "name"), [("acme/super-prm", ""), ("acme/super-prm", "magic")])
def test_unknown_models_are_refused_with_the_list(model: str, name: str) -> None:
    """No guessing: the start ends with what is supported."""
    with pytest.raises(StartupError) as caught:
        family_for(model, "LlamaForCausalLM", name)
    assert (name or model) in str(caught.value)
    assert all(family.name in str(caught.value) for family in FAMILIES)
    assert "Qwen2ForProcessRewardModel" in str(caught.value)


def test_labels_that_cannot_be_told_apart_are_refused() -> None:
    """A tokenizer in which both labels begin alike cannot serve a family."""

    class Blind(CharacterTokenizer):
        def encode(self, text: str) -> list[int]:
            """The same token for everything."""
            return [5 for _ in text]

    with pytest.raises(StartupError, match=r"labels \+, - apart"):
        labelled(LabelLogits(Blind(), lambda _: (0, 0)), RLHFLOW_DEEPSEEK)


def test_engine_of_the_other_kind_is_refused() -> None:
    """A classifier cannot read labels, nor the other way round; an unknown aggregate is refused as well."""
    tokenizer: Tokenizer = CharacterTokenizer()
    reader = LabelLogits(CharacterTokenizer(), lambda _: (0, 0))
    with pytest.raises(StartupError, match="'math-shepherd' needs another kind of engine than LogitEngine"):
        LoadedModel(LogitEngine(), PieceTokenizer(), MATH_SHEPHERD).reward()
    with pytest.raises(StartupError, match="'qwen-math' needs another kind"):
        LoadedModel(reader, tokenizer, QWEN_MATH).reward()
    with pytest.raises(StartupError, match=r"Unknown aggregate 'max'\. Known: last, min"):
        LoadedModel(reader, tokenizer, RLHFLOW_DEEPSEEK, Reading("max")).reward()
    assert isinstance(LoadedModel(reader, tokenizer, RLHFLOW_DEEPSEEK, Reading("min")).reward(), LabelReward)


def test_models_of_whole_answers_give_another_reward() -> None:
    """What requests call it says what it is: ``orm`` for outcome models of any kind, ``prm`` for the others."""
    reader = LabelLogits(CharacterTokenizer(), lambda _: (0, 0))
    names = {family.name: LoadedModel(reader, reader.tokenizer, family).name for family in FAMILIES}
    assert {name for name in names if names[name] == "orm"} == {"rlhflow-orm", "outcome"}
    assert set(names.values()) == {"orm", "prm"}


@pytest.mark.parametrize(
    ("family", "reading", "message"),
    [
        (OUTCOME, Reading(aggregate="min"), "'outcome' scores no steps: drop reward_aggregate"),
        (RLHFLOW_ORM, Reading(aggregate="last"), "'rlhflow-orm' scores no steps"),
        (RLHFLOW_ORM, Reading(center=1.0), "gives probabilities: drop reward_center"),
        (QWEN_MATH, Reading(scale=2.0), "'qwen-math' gives probabilities"),
    ],
)
def test_settings_that_mean_nothing_to_a_family_are_refused(family: Family, reading: Reading, message: str) -> None:
    """Nothing is silently ignored."""
    with pytest.raises(StartupError, match=message):
        reading.check(family)


def test_a_template_that_does_not_fit_is_told_at_the_start() -> None:
    """A reward model without a chat template, or of another tokenizer, would fail every request."""

    class Refusing(CharacterTokenizer):
        def render(self, *_: object, **__: object) -> list[int]:
            """There is no template."""
            raise InvalidRequest("This model has no chat template.", "messages")

    reader = LabelLogits(Refusing(), lambda _: (0, 0))
    with pytest.raises(StartupError, match="does not fit the convention 'rlhflow-deepseek': This model has no chat"):
        LoadedModel(reader, reader.tokenizer, RLHFLOW_DEEPSEEK).reward()


@given(st.text(alphabet="abки \n", max_size=30))
def test_shepherds_steps_are_never_empty(text: str) -> None:
    """Splitting drops tags and blanks, and nothing else."""
    steps = MATH_SHEPHERD.steps(text)
    assert all(step and step == step.strip() for step in steps)
    kept = "".join("".join(steps).split())
    assert [letter for letter in kept if letter in "ab"] == [letter for letter in text if letter in "ab"]
    assert "ки" in text or kept == "".join(text.split())

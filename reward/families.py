"""The families of reward models that are supported, each by its published convention.

Unlisted models are refused when the server starts: a guessed layout gives scores that look right and are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcts.errors import StartupError, StepMismatch
from mcts.ports import Message, Path, Tokenizer
from reward.conventions import (
    WHOLE,
    AnswerConvention,
    Convention,
    Family,
    LabelConvention,
    Layout,
    TagConvention,
    only_token,
)
from reward.generative import ask_about_step
from reward.solutions import question_of, turns_of, without

QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
QWEN_TAG = "<extra_0>"

SHEPHERD_TAG = "ки"
SHEPHERD_BOS = "<s>"
SHEPHERD_STEPS = re.compile(r"(?<!\w)ки(?=\n|$)|\n\n")
"""Models of the Math-Shepherd family end their steps with " ки"; every other model with a blank line."""

SKYWORK_BOS = "<|endoftext|>"
"""``bos_token_id`` of Qwen2.5-Math, which Skywork's models are trained from; checked to be one token."""


def _qwen(tokenizer: Tokenizer, path: Path, steps: Sequence[str]) -> Layout:
    """The model's chat with a tag straight after every step.

    The assistant's turn is left open after the last tag: a causal model cannot see what would follow.
    """
    solution = "".join(step + QWEN_TAG for step in steps)
    chat = [Message("system", QWEN_SYSTEM), *without(turns_of(path), QWEN_TAG), Message("assistant", solution)]
    ids = tuple(tokenizer.render(chat, continue_final=True))
    tag = only_token(tokenizer, QWEN_TAG)
    return Layout(ids, tuple(place for place, token in enumerate(ids) if token == tag))


def _skywork(tokenizer: Tokenizer, path: Path, steps: Sequence[str]) -> Layout:
    """The question on a line, then each step on a line of its own, encoded one by one.

    As the authors' ``prepare_input`` has it: ``encode(bos_token + problem + line end)``, then for each line of the
    response ``encode(line)`` and the one token of a line end, at which the score is read. The beginning-of-sequence
    token is a special one, so encoding it apart changes no piece after it. No chat template.

    Two things are ours. Lines inside a step are joined by a blank, so that a line end in the solution always ends a
    step; ``prepare_input`` scores every line, blank ones too. And the question may hold line ends of its own (theirs
    may as well): they have scores, which nobody reads.
    """
    newline = only_token(tokenizer, "\n")
    ids = [only_token(tokenizer, SKYWORK_BOS), *tokenizer.encode(f"{question_of(path)}\n")]
    marks: list[int] = []
    for step in steps:
        ids += [*tokenizer.encode(" ".join(step.split("\n"))), newline]
        marks.append(len(ids) - 1)
    return Layout(tuple(ids), tuple(marks))


def _shepherd(tokenizer: Tokenizer, path: Path, steps: Sequence[str]) -> tuple[int, ...]:
    """Question and steps as plain text, " ки" after each step; the labels come after the last one.

    Each step has a prompt of its own, which ends at its tag, so tags that stand in the question or in Russian words
    are never mistaken for the step's.
    """
    solution = "\n".join(f"{step} {SHEPHERD_TAG}" for step in steps)
    ids = (*tokenizer.encode(SHEPHERD_BOS), *tokenizer.encode(f"{question_of(path)} {solution}"))
    if ids[-1:] != tuple(tokenizer.encode(SHEPHERD_TAG)[-1:]):
        raise StepMismatch(f"The reward model's prompt does not end with the step tag {SHEPHERD_TAG!r}.")
    return ids


def _rlhflow(tokenizer: Tokenizer, path: Path, steps: Sequence[str]) -> tuple[int, ...]:
    """A chat in which every step is a user turn and every verdict so far was "+".

    The published code reads the logits at place −3 of a chat that ends in a "+" turn: two tokens before the end of the
    turn's mark, that is, after the header of the assistant's turn, where this prompt ends.
    """
    first, *others = steps
    chat = [Message("user", f"{question_of(path)} {first}")]
    for step in others:
        chat += [Message("assistant", "+"), Message("user", step)]
    return tuple(tokenizer.render(chat))


QWEN_MATH = TagConvention(
    name="qwen-math",
    models=("qwen2.5-math-prm", "qwen2.5-math-7b-prm800k"),
    architectures=("Qwen2ForProcessRewardModel",),
    aggregate="last",
    tag=QWEN_TAG,
    good_label=1,
    lay=_qwen,
)
"""Model card of Qwen/Qwen2.5-Math-PRM-7B; also what ``models/abacus-prm`` is trained with. Softmax of two logits."""

SKYWORK_O1 = TagConvention(
    name="skywork-o1",
    models=("skywork-o1-open-prm",),
    architectures=("Qwen2ForPrmModel",),
    aggregate="last",
    tag="\n",
    good_label=0,
    lay=_skywork,
)
"""SkyworkAI/skywork-o1-prm-inference, ``model_utils/io_utils.py`` (read in openreasoner/openr's copy):
``prepare_input`` and ``derive_step_rewards``, sigmoid of a value head. Inner line ends are joined as
compute-optimal-tts does, so that the model's steps are the search's."""

MATH_SHEPHERD = LabelConvention(
    name="math-shepherd",
    models=("math-shepherd-mistral-7b-prm",),
    aggregate="min",
    separator=SHEPHERD_STEPS,
    labels=("+", "-"),
    ask=_shepherd,
)
"""Wang et al. (2312.08935) and the card of peiyi9979/math-shepherd-mistral-7b-prm: softmax over the logits of "+" (648)
and "-" (387) at "ки" (12902). Its training data number the steps ("Step 1: …"); the text is left as it is here."""

RLHFLOW_MISTRAL = LabelConvention(
    name="rlhflow-mistral",
    models=("prm-mistral-data",),
    aggregate="mean",
    separator=SHEPHERD_STEPS,
    labels=("+", "-"),
    ask=_rlhflow,
)
"""RLHFlow/RLHF-Reward-Modeling, ``math-rm/prm_evaluate.py``, steps as Math-Shepherd's generator ends them."""

RLHFLOW_DEEPSEEK = LabelConvention(
    name="rlhflow-deepseek", models=("prm-deepseek-data",), aggregate="mean", labels=("+", "-"), ask=_rlhflow
)
"""The same, steps between blank lines."""

RLHFLOW_ORM = LabelConvention(
    name="rlhflow-orm",
    models=("orm-mistral-data", "orm-deepseek-data"),
    aggregate="last",
    separator=WHOLE,
    labels=("+", "-"),
    ask=_rlhflow,
)
"""RLHFlow's outcome reward models (``math-rm/orm_evaluate.py``): the same chat with the whole answer in one turn."""

GENERATIVE = LabelConvention(name="generative", models=(), aggregate="mean", labels=("Yes", "No"), ask=ask_about_step)
"""Any chat model as a judge of steps, after GenPRM (2504.00891): P(Yes) / (P(Yes) + P(No)). Ours asks for the verdict
at once, without a written analysis before it. Never guessed from a name: the settings must ask for it."""

OUTCOME = AnswerConvention(name="outcome", models=("skywork-reward",), architectures=("ForSequenceClassification",))
"""Sequence classifiers with one label, trained on pairs of answers: Skywork-Reward (2410.18451) and its like. Its card
renders the chat by the model's own template, begins no further turn, and reads ``logits[0][0]``."""

FAMILIES: tuple[Family, ...] = (
    QWEN_MATH,
    MATH_SHEPHERD,
    RLHFLOW_MISTRAL,
    RLHFLOW_DEEPSEEK,
    RLHFLOW_ORM,
    SKYWORK_O1,
    GENERATIVE,
    OUTCOME,
)
"""All of them, by which the settings can name one."""


def family_for(model: str, architecture: str = "", name: str = "") -> Family:
    """The family of a reward model.

    Args:
        model: Its folder or hub id.
        architecture: The first of ``architectures`` in its ``config.json``; empty where it is not known yet.
        name: The family that the settings name; empty finds it by architecture, then by the model's name.

    Raises:
        StartupError: It is none that is supported; the message lists those that are.
    """
    if name:
        found = [family for family in FAMILIES if family.name == name]
    else:
        found = [family for family in FAMILIES if architecture.endswith(family.architectures)] or [
            family for family in FAMILIES if any(part in model.lower() for part in family.models)
        ]
    if found:
        return found[0]
    what = f"The reward convention {name!r}" if name else f"The reward model {model!r} ({architecture or 'unknown'})"
    raise StartupError(
        f"{what} is not supported. Supported: {'; '.join(map(_told, FAMILIES))}. "
        "Name the convention of a model of another name with reward_convention."
    )


def _told(family: Convention) -> str:
    known = ", ".join((*family.architectures, *family.models))
    return f"{family.name} ({known or 'any chat model'})"

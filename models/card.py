"""Model cards and the report: what was measured, how, with what, when."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.tokenizer import STEP_TAG

REPORT = "report.json"
_FRONT_MATTER = "---\nlicense: apache-2.0\nlanguage: en\ntags: [arithmetic, countdown, {tag}]\n---\n"

_FIGURES = (
    ("greedy", "greedy accuracy"),
    ("mean_of_samples", "mean accuracy of one sample"),
    ("pass_at_n", "at least one right in {n} samples"),
    ("majority", "majority of {n}"),
    ("best_of_n", "best of {n} by the reward model (last step)"),
    ("weighted_best_of_n", "weighted vote of {n} by the reward model"),
)

_AUROCS = (("step_auroc", "reward model: AUROC over all steps"), ("final_step_auroc", "AUROC over last steps"))

_LANGUAGE_CARD = """# Abacus

A {parameters:,}-parameter `Qwen2ForCausalLM` that solves two kinds of problems in plain English, step by step: word
problems of two to six arithmetic steps, and countdown (reach a target from three or four numbers, each used once). It
is bundled with Espalier so that tree search has something real to search. It knows nothing else: on any other prompt it
writes nonsense.

- Steps end with a blank line; the final answer stands in `\\boxed{{}}`: a whole number, or an expression for countdown.
- Digits are single tokens, words of its problems are whole tokens, every other text falls into pieces or bytes.
- Text in Unicode's normal form C survives encoding and decoding unchanged. As with every Qwen2 tokenizer that
  transformers 5 loads, other text comes back in that form.
- Chat template: ChatML (`<|im_start|>role … <|im_end|>`), no default system turn, at most {context} tokens.

{measured}
## How it was made

{how}
"""

_REWARD_CARD = """# Abacus-PRM

A {parameters:,}-parameter `Qwen2ForProcessRewardModel` that tells, after each step of an Abacus solution, the
probability that everything so far is right. Below, it is a language model like Abacus that has learned longer; above
stand a block that compares each token with what was expected of it, and blocks and a head that judge.

- Input: exactly the convention of Qwen2.5-Math-PRM. System turn "Please reason step by step, and put your final answer
  within \\boxed{{}}.", the question, and the steps each followed by `{tag}` (token {tag_id}) without the blank lines
  between them. At each tag, the softmax over the two logits; index 1 is "right so far".
- vLLM: `--runner pooling --pooler-config '{{"tok_pooling_type": "STEP", "step_tag_id": {tag_id}}}'`, task
  `token_classify`.
- Labels of word problems: the step is correct arithmetic of a quantity that the problem needs, and all before it are
  right.
- Labels of countdown: the arithmetic and the list of numbers left are right, and the target is still reachable, decided
  by exhaustive search. That is exact, where rollouts of the model would only estimate it.
- The label of the last step is the verdict on the whole solution.

{measured}
## How it was made

{how}
"""


def describe_run(command: str, seed: int, device: str, minutes: dict[str, float]) -> dict[str, Any]:
    """Return how a run was made: command, seed, machine, versions, date and minutes of each stage."""
    return {
        "command": command,
        "seed": seed,
        "device": device,
        "machine": platform.machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")},
        "minutes": {stage: round(spent, 1) for stage, spent in minutes.items()},
    }


def write_cards(report: dict[str, Any], language_folder: Path, reward_folder: Path) -> None:
    """Write `report.json` and the model card into both folders."""
    for folder in (language_folder, reward_folder):
        (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    measured, how = _measured(report), _how(report)
    card = _LANGUAGE_CARD.format(
        parameters=report["parameters"]["language"], context=report["context"], measured=measured, how=how
    )
    (language_folder / "README.md").write_text(_FRONT_MATTER.format(tag="text-generation") + card, encoding="utf-8")
    card = _REWARD_CARD.format(
        parameters=report["parameters"]["reward"],
        tag=STEP_TAG,
        tag_id=report["step_tag_id"],
        measured=measured,
        how=how,
    )
    (reward_folder / "README.md").write_text(_FRONT_MATTER.format(tag="reward-model") + card, encoding="utf-8")


def percent(share: float) -> str:
    """Write a share between 0 and 1 as the cards do."""
    return f"{100 * share:.1f}%"


def _measured(report: dict[str, Any]) -> str:
    exam, figures = report["exam"], report["figures"]
    lines = [
        "## What was measured\n",
        f"{exam['problems']} held-out problems a family, which no training run can see whatever its seed.",
        f"Samples at temperature {exam['temperature']:g}; weights in bfloat16.\n",
        "| | word | countdown |",
        "|---|---|---|",
    ]
    for key, name in _FIGURES:
        cells = " | ".join(percent(figures[kind][key]) for kind in ("word", "countdown"))
        lines.append(f"| {name.format(n=exam['samples'])} | {cells} |")
    for key, name in _AUROCS:
        lines.append(f"| {name} | {figures['word'][key]:.3f} | {figures['countdown'][key]:.3f} |")
    lines += ["", f"AUROC over the steps of both families together: {figures['step_auroc']:.3f}.", ""]
    return "\n".join(lines)


def _how(report: dict[str, Any]) -> str:
    run = report["run"]
    spent = ", ".join(f"{stage} {minutes:g}" for stage, minutes in run["minutes"].items())
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    lines = [
        f"`{run['command']}` on {run['device']}, seed {run['seed']}, {run['date']}.",
        f"Minutes: {spent}. Versions: {versions}.",
        *(_by_recipe(report["recipe"]) if "by_hand" not in run else [run["by_hand"]]),
        f"All figures: `{REPORT}`.",
        *([run["note"]] if run["note"] else []),
    ]
    return "\n".join(lines)


def _by_recipe(recipe: dict[str, Any]) -> list[str]:
    return [
        f"Both models go on from one trunk: {recipe['trunk']['steps']} steps of about {recipe['batch_tokens']} tokens.",
        f"The language model takes {recipe['language']['steps']} more; the reward model's reading part takes",
        f"{recipe['reader']['steps']} more, and its judging blocks {recipe['reward']['steps']}, on",
        f"{recipe['reward_samples']} sampled answers to each of {recipe['reward_problems']} training problems a family",
        f"and on made-up answers ({100 * (1 - recipe['reward_sampled_share']):.0f}% of the rows).",
        f"Kinds of chats that come more or less often than in the common mix: {_mixes(recipe)}.",
    ]


def _mixes(recipe: dict[str, Any]) -> str:
    """The weights that differ from 1, by stage."""
    told = [
        f"{kind} {weight:g} times in the {stage}'s stage"
        for stage in ("trunk", "language", "reader")
        for kind, weight in recipe[f"{stage}_mix"].items()
    ]
    return ", ".join(told) or "none"

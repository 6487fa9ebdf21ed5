"""What a model folder says about itself, read before anything heavy is imported."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mcts.errors import StartupError

Runner = Literal["generate", "pooling"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's ``config.json`` in the parts that matter here; all empty for a model still on a hub.

    Args:
        source: The folder, or the hub id.
        local: Whether it is a folder on this machine.
        architecture: The first of ``architectures``.
        dtype: What it was saved in.
        eos_ids: End-of-sequence tokens of ``config.json`` and ``generation_config.json``.
        labels: How many classes a classifier tells apart; 2 where it does not say, as transformers has it.
    """

    source: str
    local: bool
    architecture: str = ""
    dtype: str = ""
    eos_ids: frozenset[int] = frozenset()
    labels: int = 0


def read_card(model: str) -> ModelCard:
    """Reads what a model says about itself.

    Raises:
        StartupError: The folder is missing or is no model folder.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if _HUB_ID.fullmatch(model) and not folder.exists() and not folder.parent.is_dir():
            return ModelCard(source=model, local=False)
        raise StartupError(f"There is no model folder at {str(folder)!r}.")
    config = _read(folder / "config.json")
    if config is None:
        raise StartupError(f"The folder {str(folder)!r} holds no config.json, so it is no model folder.")
    generation = _read(folder / "generation_config.json") or {}
    return ModelCard(
        source=str(folder),
        local=True,
        architecture=next(iter(config.get("architectures") or []), ""),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or ""),
        eos_ids=token_ids(config.get("eos_token_id")) | token_ids(generation.get("eos_token_id")),
        labels=_labels(config),
    )


def read_tokenizer_card(model: str) -> ModelCard:
    """As ``read_card``; but a folder that holds nothing but a tokenizer will do, and says nothing about a model.

    Raises:
        StartupError: The folder is missing, or holds neither.
    """
    folder = Path(model).expanduser()
    if (folder / "tokenizer.json").is_file() and not (folder / "config.json").is_file():
        return ModelCard(source=str(folder), local=True)
    return read_card(model)


def check_runner(card: ModelCard, runner: Runner) -> None:
    """Refuses a reward model where a generating one is needed, and the other way round.

    Raises:
        StartupError: The architecture does not fit; the message says what it is for.
    """
    scores = "Reward" in card.architecture or card.architecture.endswith("Classification")
    generates = card.architecture.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel"))
    if runner == "generate" and scores:
        raise StartupError(f"{card.source!r} is a {card.architecture}: it scores text and generates none.")
    if runner == "pooling" and generates:
        raise StartupError(f"{card.source!r} is a {card.architecture}: it generates text and is no reward model.")


def check_one_label(card: ModelCard) -> None:
    """Refuses a classifier that is no outcome reward model; of a model still on a hub nothing is known.

    Raises:
        StartupError: It has another number of labels than one.
    """
    if card.local and card.labels != 1:
        raise StartupError(f"{card.source!r} has {card.labels} labels; an outcome reward model has one.")


def token_ids(value: object) -> frozenset[int]:
    """The tokens that a configuration names in one field: one, several or none."""
    if isinstance(value, int):
        return frozenset({value})
    return frozenset(each for each in value if isinstance(each, int)) if isinstance(value, list) else frozenset()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StartupError(f"{str(path)!r} cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise StartupError(f"{str(path)!r} is not a JSON object.")
    return loaded


def _labels(config: dict[str, Any]) -> int:
    """As transformers counts them: ``id2label`` has the last word, which is what it writes for ``num_labels``."""
    names, count = config.get("id2label"), config.get("num_labels")
    if isinstance(names, dict):
        return len(names)
    return count if isinstance(count, int) else 2

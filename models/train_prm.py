"""Fit the process reward model: the language model's body with a two-way head, on step labels at the tags."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.export import load_body
from models.network import LanguageModel, ProcessRewardModel
from models.reward_rows import UNLABELLED


def reward_model_from(language_model: LanguageModel, seed: int) -> ProcessRewardModel:
    """Return a reward model that starts from the weights of `language_model`, its head drawn from `seed`."""
    torch.manual_seed(seed)
    model = ProcessRewardModel(language_model.model.shape)
    load_body(language_model.state_dict(), model.model)
    placed: ProcessRewardModel = model.to(next(language_model.parameters()).device)
    return placed


def reward_loss(model: ProcessRewardModel) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean cross-entropy (natural log) over the labelled tokens of a batch."""

    def loss_of(ids: Tensor, targets: Tensor) -> Tensor:
        logits = model(ids, dtype=torch.bfloat16).float()
        labelled = (targets != UNLABELLED).flatten().float()
        each = functional.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten().long(), reduction="none")
        return (each * labelled).sum() / labelled.sum()

    return loss_of

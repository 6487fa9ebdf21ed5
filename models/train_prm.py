"""Fit the process reward model: fresh layers and a two-way head above the frozen language model, on step labels."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from models.network import LanguageModel, ProcessRewardModel
from models.reward_rows import UNLABELLED


def reward_model_from(language_model: LanguageModel, extra_layers: int, seed: int) -> ProcessRewardModel:
    """Return a reward model that stands on `language_model`: its layers, frozen, and fresh ones above them.

    What the language model expects of a token is known only at the top of the position before it. Layers above can
    compare that with the token that came; a copy of the same depth could not, and would have to learn arithmetic anew.
    """
    torch.manual_seed(seed)
    shape = language_model.model.shape
    model = ProcessRewardModel(replace(shape, num_layers=shape.num_layers + extra_layers))
    for name, value in language_model.model.state_dict().items():
        # The final norm belongs to the output layer of its own model.
        if name != "norm.weight":
            parameter = model.model.get_parameter(name)
            parameter.data.copy_(value)
            parameter.requires_grad_(requires_grad=False)
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

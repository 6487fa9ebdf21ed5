"""Fit the process reward model: the language model, deeper and with a two-way head, on step labels."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from models.network import LanguageModel, ProcessRewardModel
from models.reward_rows import TRUSTED

_LANGUAGE_SHARE = 0.3


def reward_model_from(language_model: LanguageModel, extra_layers: int, seed: int) -> ProcessRewardModel:
    """Return a reward model that begins as `language_model` with fresh layers above its own.

    What the language model expects of a token is known only at the top of the position before it. Layers above can
    compare that with the token that came; a copy of the same depth would have to learn arithmetic anew.
    """
    torch.manual_seed(seed)
    shape = language_model.model.shape
    model = ProcessRewardModel(replace(shape, num_layers=shape.num_layers + extra_layers))
    for name, value in language_model.model.state_dict().items():
        model.model.get_parameter(name).data.copy_(value)
    placed: ProcessRewardModel = model.to(next(language_model.parameters()).device)
    return placed


def reward_loss(model: ProcessRewardModel) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a batch (natural log): cross-entropy over the labelled tokens, means.

    The tokens of right steps are predicted besides, at a lower weight: the model keeps knowing what a right step says,
    which is what it needs in order to see that a step says something else.
    """

    def loss_of(ids: Tensor, targets: Tensor) -> Tensor:
        hidden, _ = model.model(ids, dtype=torch.bfloat16)
        logits = model.score(hidden).float()
        labels = functional.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten().long(), reduction="none")
        judged = _mean(labels, (targets >= 0).flatten())
        words = functional.linear(hidden[:, :-1], model.model.embed_tokens.weight.to(hidden.dtype)).float()
        each = functional.cross_entropy(words.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        told = targets[:, 1:].flatten()
        return judged + _LANGUAGE_SHARE * _mean(each, (told == TRUSTED) | (told == 1.0))

    return loss_of


def _mean(each: Tensor, chosen: Tensor) -> Tensor:
    weight = chosen.float()
    return (each * weight).sum() / weight.sum().clamp(min=1.0)

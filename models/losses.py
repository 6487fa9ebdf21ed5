"""What the two models are taught to do well: predict tokens, and tell where an answer stops being right."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.batches import UNLABELLED
from models.comparing import RewardNetwork
from models.network import LanguageModel

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

_TAG_WEIGHT = 4.0
_ERROR_WEIGHT = 8.0
_ERROR_SCALE = 2.0


def language_loss(model: LanguageModel) -> Loss:
    """Return the weighted cross-entropy of predicting each token (natural log, mean over the weights)."""

    def loss_of(ids: Tensor, weights: Tensor, _labels: Tensor, _errors: Tensor) -> Tensor:
        hidden, _ = model.model(ids[:, :-1], dtype=torch.bfloat16)
        logits = model.logits(hidden).float().flatten(0, 1)
        each = functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
        return _mean(each, weights[:, 1:].flatten())

    return loss_of


def reward_loss(network: RewardNetwork, tag_id: int) -> Loss:
    """Return the loss of a reward model (natural log): of its verdicts, and of its finding where mistakes happen.

    Verdicts at step tags, which are all that is read later, weigh more than those inside the steps; mistakes, which
    happen once in an answer of fifty labelled tokens, more than their absence.
    """

    def loss_of(ids: Tensor, _weights: Tensor, labels: Tensor, errors: Tensor) -> Tensor:
        streams = network.model.model.streams(ids, torch.bfloat16)
        verdicts = network.model.score(network.model.model.norm(streams[-1])).float().flatten(0, 1)
        judged = functional.cross_entropy(verdicts, labels.clamp(min=0).flatten().long(), reduction="none")
        heard = (labels != UNLABELLED) * (1.0 + (_TAG_WEIGHT - 1.0) * (ids == tag_id))
        seen = functional.rms_norm(streams[network.finding_depth], (streams[0].shape[-1],), None, 1e-6).float()
        found = functional.binary_cross_entropy_with_logits(
            _ERROR_SCALE * seen @ network.error_direction, errors.clamp(min=0), reduction="none"
        )
        watched = (errors != UNLABELLED) * (1.0 + (_ERROR_WEIGHT - 1.0) * (errors == 1))
        return _mean(judged, heard.flatten()) + _mean(found.flatten(), watched.flatten())

    return loss_of


def _mean(each: Tensor, weight: Tensor) -> Tensor:
    return (each * weight).sum() / weight.sum().clamp(min=1.0)

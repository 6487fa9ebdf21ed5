"""Fit the language model: next-token loss over chats, AdamW, a warm-up, a plateau and a linear decay."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from models.network import LanguageModel

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        steps: Optimiser steps.
        peak_rate: Learning rate on the plateau.
        warmup: Steps of linear rise.
        decay_share: Share of the steps, at the end, over which the rate falls linearly to 2% of the peak.
        weight_decay: AdamW's, on matrices only.
    """

    steps: int
    peak_rate: float = 2e-3
    warmup: int = 100
    decay_share: float = 0.3
    weight_decay: float = 0.05

    def rate(self, step: int) -> float:
        """Return the learning rate of `step`, counted from 0."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = (self.steps - step) / max(1.0, self.decay_share * self.steps)
        return self.peak_rate * min(rise, max(0.02, min(1.0, fall)))


def optimizer_for(model: torch.nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """Return AdamW that decays matrices and leaves norms and biases alone."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.peak_rate, betas=(0.9, 0.98), fused=True)


def optimise(
    loss_of: Callable[[Tensor, Tensor], Tensor],
    model: torch.nn.Module,
    data: Iterator[tuple[Tensor, Tensor]],
    schedule: Schedule,
    device: torch.device,
    report: Progress,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> list[float]:
    """Run the schedule over `data`; returns the loss of every step.

    Args:
        loss_of: Loss of one batch (ids, targets) under bfloat16 autocast.
        model: What to fit, in place; its parameters stay float32.
        data: Batches, as many as the schedule has steps or more.
        schedule: Steps and rates.
        device: Where the model is.
        report: Called after each step with the number of steps done and the loss.
        checkpoint: Where to keep the weights, the optimiser and the step; training goes on from it when it exists.
        checkpoint_every: Steps between two writes.
    """
    optimizer = optimizer_for(model, schedule)
    first = _resume(checkpoint, model, optimizer)
    losses = []
    for step in range(first, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        ids, targets = (tensor.to(device) for tensor in next(data))
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        report(step + 1, losses[-1])
        if checkpoint is not None and (step + 1) % checkpoint_every == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, checkpoint)
    return losses


def _resume(checkpoint: Path | None, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if checkpoint is None or not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["step"])


def language_loss(model: LanguageModel) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the weighted cross-entropy of predicting each token (natural log, mean over the weights)."""

    def loss_of(ids: Tensor, weights: Tensor) -> Tensor:
        hidden, _ = model.model(ids[:, :-1], dtype=torch.bfloat16)
        logits = model.logits(hidden).float()
        each = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weight = weights[:, 1:].flatten()
        return (each * weight).sum() / weight.sum()

    return loss_of


def describe(schedule: Schedule) -> dict[str, float]:
    """Return the schedule as plain figures for a report."""
    return asdict(schedule)

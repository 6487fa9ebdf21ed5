"""Fit a network to batches: Muon and AdamW, a warm-up, a plateau and a linear decay, checkpoints on the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.batches import Batch

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        steps: Optimiser steps.
        peak_rate: Learning rate on the plateau.
        warmup: Steps of linear rise.
        decay_share: Share of the steps, at the end, over which the rate falls linearly to 2% of the peak; 0 for a stage
            that others go on from.
        weight_decay: Muon's, on the matrices inside the blocks.
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


def optimizers_for(model: torch.nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the blocks, and AdamW for everything else that is to be learned.

    Muon (Jordan et al., 2024) needs about half of AdamW's steps here. Its updates are scaled to AdamW's size (Liu et
    al., 2025, section 2.2), so that both follow one learning rate.
    """
    learned = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    matrices = [parameter for name, parameter in learned if _inside_block(name, parameter)]
    others = [parameter for name, parameter in learned if not _inside_block(name, parameter)]
    rate, decay = schedule.peak_rate, schedule.weight_decay
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]


def _inside_block(name: str, parameter: Tensor) -> bool:
    return ".layers." in name and parameter.ndim == 2


def optimise(
    loss_of: Callable[..., Tensor],
    model: torch.nn.Module,
    data: Iterator[Batch],
    schedule: Schedule,
    device: torch.device,
    report: Progress,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> list[float]:
    """Run the schedule over `data`; returns the loss of every step.

    Args:
        loss_of: Loss of one batch, given as its tensors, under bfloat16 autocast.
        model: What to fit, in place; its parameters stay float32.
        data: Batches, as many as the schedule has steps or more.
        schedule: Steps and rates.
        device: Where the model is.
        report: Called after each step with the number of steps done and the loss.
        checkpoint: Where to keep the weights, the optimisers and the losses; training goes on from it when it exists.
        checkpoint_every: Steps between two writes.
    """
    optimizers = optimizers_for(model, schedule)
    losses = _resume(checkpoint, model, optimizers)
    # What an interrupted run has read is skipped, so that going on gives what an uninterrupted run would have given.
    for _ in losses:
        next(data)
    for step in range(len(losses), schedule.steps):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = schedule.rate(step)
        batch = [tensor.to(device) for tensor in next(data)]
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        report(step + 1, losses[-1])
        if checkpoint is not None and ((step + 1) % checkpoint_every == 0 or step + 1 == schedule.steps):
            _keep(checkpoint, model, optimizers, losses)
    return losses


def _keep(
    checkpoint: Path, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer], losses: list[float]
) -> None:
    states = [optimizer.state_dict() for optimizer in optimizers]
    partial = checkpoint.with_suffix(".partial")
    torch.save({"model": model.state_dict(), "optimizers": states, "losses": losses}, partial)
    partial.replace(checkpoint)


def _resume(
    checkpoint: Path | None, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> list[float]:
    """Read the state kept in `checkpoint`, if there is one; returns the losses of the steps already taken."""
    if checkpoint is None or not checkpoint.exists():
        return []
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    losses: list[float] = saved["losses"]
    return losses

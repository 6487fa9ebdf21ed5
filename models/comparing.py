"""How the reward model begins: a language model, and above it a block that compares what came with what was expected.

What the language model expects of a token is known only at the top of the position before it, and whether two tokens
are the same is a product, which gradient descent finds late: thousands of steps of training, from nothing or above a
finished model, hardly found it (docs/log.md). A block of a Qwen2 network can compute it exactly, so the first block
above the language model is written down rather than drawn by chance:

1. Some directions of the residual stream, those that the language model uses least, are taken from it and given to the
   token's name: one for each of the signs that solutions are made of, one for all other tokens. So the top still
   knows which sign came.
2. One attention head looks at the position before (its scores come from rotary phases alone, Su et al., 2104.09864,
   section 3.4) and brings the language model's logits of those signs.
3. The gated feed-forward layer multiplies each of them with whether its sign is the one that came (Shazeer, 2002.05202:
   SwiGLU is a product), and adds the products up: the logit of the sign that came.

All this and the language model below stay as they are. Of the blocks above, the first learn to find the place where a
mistake happens, which they write into one direction of the stream; the last begins with a head that looks for the
largest value of that direction so far (any mistake spoils the rest), and learns on.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor, nn

from models.batches import Row
from models.network import Block, LanguageModel, ProcessRewardModel

SIGNS = "0123456789+-*/=."
_CALIBRATION_ROWS = 400
_CALIBRATION_LENGTH = 128
_FREQUENCIES = 10
_PHASE_SIZE = 8.0
_NAME_SIZE = 0.1
_GATE = 8.0
_SHARPNESS = 4.0
_VERDICT = 2.0


@dataclass(frozen=True, slots=True)
class RewardNetwork:
    """A reward model in the making.

    Attributes:
        model: The network.
        finding_depth: Blocks below the place where its finding of mistakes is read and taught.
        error_direction: The direction, (width,), of the normed stream that tells a mistake there.
    """

    model: ProcessRewardModel
    finding_depth: int
    error_direction: Tensor


def begin_reward_model(
    language_model: LanguageModel, rows: Iterable[Row], signs: list[int], extra_layers: int, seed: int
) -> RewardNetwork:
    """Return a reward model whose first fresh block compares each token with what was expected of it.

    Args:
        language_model: What it begins as; it is not changed.
        rows: Judged text, some hundreds of rows.
        signs: The tokens of `SIGNS`.
        extra_layers: Fresh blocks, 3 or more: one that compares, those that find mistakes, one that gathers them.
        seed: Of the fresh weights.
    """
    torch.manual_seed(seed)
    device = next(language_model.parameters()).device
    # The algebra below is small and wants the same result everywhere: it is done on the processor.
    language_model = copy.deepcopy(language_model).cpu()
    shape = language_model.model.shape
    model = ProcessRewardModel(replace(shape, num_layers=shape.num_layers + extra_layers))
    for name, value in language_model.model.state_dict().items():
        model.model.get_parameter(name).data.copy_(value)
    model.model.norm.weight.data.fill_(1.0)
    old, (comparing, *free) = _split(model, shape.num_layers)
    for block in (comparing, *free):
        _draw(block)
    for layer in (model.score[0], model.score[2]):
        nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    calibration = torch.tensor([row.ids[:_CALIBRATION_LENGTH] for row in _long(rows)])
    with torch.no_grad():
        streams = _streams(model, calibration)[: shape.num_layers + 1]
        names = _least_used(torch.cat([stream / _size(stream) for stream in streams]), len(signs) + 1)
        _unscale(model, old, _size(streams[-1]))
        _name_tokens(model, old, names, signs)
        top = _streams(model, calibration)[shape.num_layers]
        spare = _compare(comparing, language_model, top, names, signs)
        _gather(free[-1], model, *spare)
    learned = {id(weight) for part in (*free, model.score, model.model.norm) for weight in part.parameters()}
    for weight in model.parameters():
        weight.requires_grad = id(weight) in learned
    return RewardNetwork(model.to(device), shape.num_layers + extra_layers - 1, spare[0].to(device))


def _long(rows: Iterable[Row]) -> list[Row]:
    return [row for row in islice(rows, _CALIBRATION_ROWS) if len(row.ids) >= _CALIBRATION_LENGTH]


def _split(model: ProcessRewardModel, depth: int) -> tuple[list[Block], list[Block]]:
    blocks = list(model.model.layers)
    return blocks[:depth], blocks[depth:]


def _draw(block: Block) -> None:
    """Draw weights that are heard in a stream of size 1."""
    for name, weight in block.named_parameters():
        if weight.ndim == 2:
            quiet = 0.3 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
            nn.init.normal_(weight, std=quiet * weight.shape[1] ** -0.5)


def _streams(model: ProcessRewardModel, ids: Tensor) -> list[Tensor]:
    """Return the residual stream below the first block and after each, (tokens, width)."""
    return [stream.flatten(0, 1) for stream in model.model.streams(ids)]


def _size(stream: Tensor) -> float:
    return float(stream.square().mean().sqrt())


def _least_used(stream: Tensor, count: int) -> Tensor:
    """Return the `count` orthonormal directions, (width, count), along which `stream` (tokens, width) is smallest."""
    vectors: Tensor = torch.linalg.eigh(stream.T @ stream).eigenvectors
    return vectors[:, :count]


def _unscale(model: ProcessRewardModel, old: list[Block], size: float) -> None:
    """Shrink what the language model writes to its residual stream until the stream has size 1 at the top.

    Every block reads the stream through a norm, so the model computes the same; but what fresh blocks add is heard.
    """
    model.model.embed_tokens.weight.div_(size)
    for block in old:
        block.self_attn.o_proj.weight.div_(size)
        block.mlp.down_proj.weight.div_(size)


def _name_tokens(model: ProcessRewardModel, old: list[Block], names: Tensor, signs: list[int]) -> None:
    """Let the directions `names` carry the sign that came, unread and untouched by the language model's blocks."""
    apart = torch.eye(len(names)) - names @ names.T
    embedding = model.model.embed_tokens.weight
    embedding.copy_(embedding @ apart)
    # At the bottom names are larger than all else. With embeddings and names of one size for every token, that only
    # shrinks what the first block reads by one factor; without, it would blur which token came.
    size = _size(embedding[signs])
    embedding.mul_(size / embedding.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6))
    which = torch.full((len(embedding),), len(signs))
    which[signs] = torch.arange(len(signs))
    embedding += _NAME_SIZE * names.T[which]
    shrunk = _size(embedding) / size
    for block in old:
        for norm, readers in (
            (block.input_layernorm, (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj)),
            (block.post_attention_layernorm, (block.mlp.gate_proj, block.mlp.up_proj)),
        ):
            for reader in readers:
                reader.weight.copy_(reader.weight * norm.weight @ apart)
            norm.weight.fill_(1.0)
        for writer in (block.self_attn.o_proj, block.mlp.down_proj):
            writer.weight.copy_(apart @ writer.weight)
    first = old[0].self_attn
    for reader in (first.q_proj, first.k_proj, first.v_proj):
        reader.weight.mul_(shrunk)


def _compare(
    block: Block, language_model: LanguageModel, top: Tensor, names: Tensor, signs: list[int]
) -> tuple[Tensor, Tensor]:
    """Write the comparison; returns two directions that are used as little as those it writes to."""
    head, count = block.self_attn.head_size, len(signs)
    body = language_model.model
    # The least used directions are those of the names, but for the names themselves; the next are free.
    apart = torch.eye(len(names)) - names @ names.T
    vectors = torch.linalg.eigh(apart @ top.T @ top @ apart).eigenvectors
    given = names.shape[1]
    places, total = vectors[:, given : given + count], vectors[:, given + count]
    expected = body.embed_tokens.weight[signs] * body.norm.weight
    expected = (expected - expected.mean(0)) @ apart
    read = nn.functional.rms_norm(top, (top.shape[1],), None, 1e-6)
    expected = expected / (read @ expected.T).std()
    _look_back(block, by=1)
    attention, feed = block.self_attn, block.mlp
    attention.v_proj.weight[:head].zero_()
    attention.v_proj.weight[:count] = expected
    # Nothing but the comparison: the blocks above are free to do what else is useful.
    attention.o_proj.weight.zero_()
    attention.o_proj.weight[:, :count] = places
    feed.down_proj.weight.zero_()
    feed.gate_proj.weight[:count] = _GATE / _NAME_SIZE * names.T[:count]
    feed.up_proj.weight[:count] = places.T
    feed.down_proj.weight[:, :count] = total[:, None] / _GATE
    return vectors[:, given + count + 1], vectors[:, given + count + 2]


def _gather(block: Block, model: ProcessRewardModel, error: Tensor, worst: Tensor) -> None:
    """Let one head bring the largest value along `error` so far into `worst`, and the verdict begin with it."""
    attention, head = block.self_attn, block.self_attn.head_size
    # The slowest rotary phase hardly turns within a solution, so a key there means the same at any distance.
    slowest = head // 2 - 1
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[:head].zero_()
        projection.bias[:head].zero_()
    attention.q_proj.bias[slowest] = head**0.5
    attention.k_proj.weight[slowest] = _SHARPNESS * error
    attention.v_proj.weight[0] = error
    attention.o_proj.weight[:, 0] = worst
    for unit, sign in ((0, 1.0), (1, -1.0)):
        model.score[0].weight[unit] = sign * worst
        model.score[2].weight[:, unit] = torch.tensor([sign, -sign]) * _VERDICT / 2


def _look_back(block: Block, by: int) -> None:
    """Make the first query head attend to the position `by` before it, whatever stands there."""
    attention = block.self_attn
    half = attention.head_size // 2
    angles = by * 10000.0 ** -(torch.arange(half)[:_FREQUENCIES] / half)
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[: attention.head_size].zero_()
        projection.bias[: attention.head_size].zero_()
    attention.k_proj.bias[:_FREQUENCIES] = _PHASE_SIZE
    attention.q_proj.bias[:_FREQUENCIES] = _PHASE_SIZE * angles.cos()
    attention.q_proj.bias[half : half + _FREQUENCIES] = -_PHASE_SIZE * angles.sin()

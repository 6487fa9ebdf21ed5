"""The Qwen2 network in plain torch, under the parameter names that Hugging Face and vLLM read.

Training and sampling use this small implementation because it packs no mask and no cache object: every batch holds rows
whose padding is on the right, so causal attention alone keeps padding out. It knows no tokenizer, no data and no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

KeyValues = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of one network, all positive.

    Attributes:
        vocab_size: Rows of the embedding, which is also the output layer.
        hidden_size: Width of the residual stream.
        num_layers: Transformer blocks.
        num_heads: Query heads; each has `hidden_size / num_heads` channels, 32 or 64 for vLLM's CPU attention.
        num_kv_heads: Key and value heads; divides `num_heads`.
        intermediate_size: Width inside the gated feed-forward layer.
        max_position: Longest sequence served, in tokens.
        rope_theta: Base of the rotary frequencies.
    """

    vocab_size: int
    hidden_size: int = 256
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    intermediate_size: int = 768
    max_position: int = 4096
    rope_theta: float = 10000.0

    @property
    def head_size(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_heads


class RMSNorm(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """Root-mean-square normalisation with a learned scale."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x`."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), 1e-6)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary position embedding to `x` of shape (batch, heads, time, channels), half-split as in Qwen2."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Attention(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """Causal grouped-query attention."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_size = shape.num_heads, shape.num_kv_heads, shape.head_size
        width, kv_width = shape.hidden_size, shape.num_kv_heads * shape.head_size
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, kv_width)
        self.v_proj = nn.Linear(width, kv_width)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: KeyValues | None) -> tuple[Tensor, KeyValues]:
        """Attend over `past` and `x` (batch, time, width); returns the output and the grown keys and values."""
        batch, time, width = x.shape
        query = self.q_proj(x).view(batch, time, self.num_heads, self.head_size).transpose(1, 2)
        key = self.k_proj(x).view(batch, time, self.num_kv_heads, self.head_size).transpose(1, 2)
        value = self.v_proj(x).view(batch, time, self.num_kv_heads, self.head_size).transpose(1, 2)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        if past is not None:
            key, value = torch.cat((past[0], key), dim=2), torch.cat((past[1], value), dim=2)
        # A cached call carries one new token, which may see everything; an uncached one needs the causal triangle.
        out = functional.scaled_dot_product_attention(query, key, value, is_causal=past is None, enable_gqa=True)
        return self.o_proj(out.transpose(1, 2).reshape(batch, time, width)), (key, value)


class FeedForward(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """SwiGLU feed-forward layer."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` (…, width) to the same shape."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """One pre-norm transformer block."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = RMSNorm(shape.hidden_size)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: KeyValues | None) -> tuple[Tensor, KeyValues]:
        """Run the block; returns its output and its keys and values."""
        attended, cache = self.self_attn(self.input_layernorm(x), cos, sin, past)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), cache


class Body(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """Embedding, blocks and final norm: everything below a head."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.norm = RMSNorm(shape.hidden_size)
        self.apply(_initialise)
        # The residual stream grows with depth; smaller output layers keep its size even at the start (GPT-2).
        for block in self.layers:
            for name in ("self_attn.o_proj.weight", "mlp.down_proj.weight"):
                nn.init.normal_(block.get_parameter(name), std=0.02 / (2 * shape.num_layers) ** 0.5)

    def _angles(self, start: int, time: int, like: Tensor) -> tuple[Tensor, Tensor]:
        half = self.shape.head_size // 2
        steps = torch.arange(half, device=like.device, dtype=torch.float32) / half
        inverse = self.shape.rope_theta**-steps
        angles = torch.outer(torch.arange(start, start + time, device=like.device, dtype=torch.float32), inverse)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)

    def forward(
        self, token_ids: Tensor, past: Sequence[KeyValues] | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, list[KeyValues]]:
        """Return hidden states (batch, time, width) of `token_ids` (batch, time) and the cache of every layer."""
        x = self.embed_tokens(token_ids).to(dtype)
        start = 0 if past is None else past[0][0].shape[2]
        cos, sin = self._angles(start, token_ids.shape[1], x)
        caches = []
        for index, block in enumerate(self.layers):
            x, cache = block(x, cos, sin, None if past is None else past[index])
            caches.append(cache)
        return self.norm(x), caches

    def streams(self, token_ids: Tensor, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Return the residual stream, (batch, time, width), below the first block and after each."""
        found = [self.embed_tokens(token_ids).to(dtype)]
        cos, sin = self._angles(0, token_ids.shape[1], found[0])
        for block in self.layers:
            found.append(block(found[-1], cos, sin, None)[0])
        return found


class LanguageModel(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """`Qwen2ForCausalLM` with tied embeddings."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.model = Body(shape)

    def logits(self, hidden: Tensor) -> Tensor:
        """Score every vocabulary entry for `hidden` (…, width)."""
        return functional.linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))


class ProcessRewardModel(nn.Module):  # type: ignore[misc]  # mypy does not read torch
    """`Qwen2ForProcessRewardModel`: two logits a token, index 1 for "right so far"."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.model = Body(shape)
        self.score = nn.Sequential(
            nn.Linear(shape.hidden_size, shape.hidden_size), nn.ReLU(), nn.Linear(shape.hidden_size, 2)
        )

    def forward(self, token_ids: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return logits (batch, time, 2) for `token_ids` (batch, time)."""
        hidden, _ = self.model(token_ids, dtype=dtype)
        out: Tensor = self.score(hidden.to(self.score[0].weight.dtype))
        return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)

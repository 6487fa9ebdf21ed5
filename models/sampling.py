"""Fast batched generation in torch, for training data and the recipe's own examination; users are served by vLLM."""

import copy
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.network import KeyValues, LanguageModel

LONGEST_ANSWER = 160
_WORTH_DROPPING = 0.8


class Sampler:
    """Continues prompts with a bfloat16 copy of a language model, as vLLM would serve it.

    Prompts of one length share a batch, so no row is padded and no mask is needed.
    """

    def __init__(self, model: LanguageModel, end_id: int, seed: int, rows: int = 384) -> None:
        """Copy `model`.

        Args:
            model: The network; later changes to it are not seen.
            end_id: Token that ends an answer.
            seed: Of the sampling noise.
            rows: Most sequences in one batch.
        """
        self.model = copy.deepcopy(model).bfloat16().eval()
        self.device = next(model.parameters()).device
        self.end_id = end_id
        self.rows = rows
        self.generator = torch.Generator(device=self.device).manual_seed(seed)

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        temperature: float,
        limit: int = LONGEST_ANSWER,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """Return one continuation per prompt, in order, without its end token.

        Args:
            prompts: Token ids, each at least one; repeat a prompt to have several samples of it.
            temperature: 0 for the most likely token each time.
            limit: Most tokens a continuation.
            progress: Called with the number of prompts just finished.
        """
        by_length: dict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            by_length[len(prompt)].append(index)
        done: list[list[int]] = [[] for _ in prompts]
        for indices in by_length.values():
            for start in range(0, len(indices), self.rows):
                chosen = indices[start : start + self.rows]
                batch = torch.tensor([list(prompts[i]) for i in chosen], device=self.device)
                with torch.inference_mode():
                    texts = self._continue(batch, temperature, limit)
                for index, ids in zip(chosen, texts, strict=True):
                    done[index] = ids
                if progress is not None:
                    progress(len(chosen))
        return done

    def _continue(self, prompts: Tensor, temperature: float, limit: int) -> list[list[int]]:
        texts: list[list[int]] = [[] for _ in range(len(prompts))]
        rows = torch.arange(len(prompts), device=self.device)
        going = torch.ones(len(prompts), dtype=torch.bool, device=self.device)
        columns = []
        hidden, past = self.model.model(prompts, dtype=torch.bfloat16)
        for _ in range(limit):
            chosen = self._choose(self.model.logits(hidden[:, -1]).float(), temperature)
            going &= chosen != self.end_id
            columns.append((rows[going], chosen[going]))
            left = int(going.sum())
            if left == 0:
                break
            # Finished rows run idle until they are many: dropping them copies every key and value.
            if left < _WORTH_DROPPING * len(going):
                rows, chosen, past = rows[going], chosen[going], _keep(past, going)
                going = going[going]
            hidden, past = self.model.model(chosen[:, None], past, dtype=torch.bfloat16)
        for indices, tokens in columns:
            for index, token in zip(indices.tolist(), tokens.tolist(), strict=True):
                texts[index].append(token)
        return texts

    def _choose(self, logits: Tensor, temperature: float) -> Tensor:
        if temperature == 0:
            return logits.argmax(-1)
        noise = torch.empty_like(logits).exponential_(generator=self.generator)
        return (torch.softmax(logits / temperature, -1) / noise).argmax(-1)


def _keep(past: list[KeyValues], rows: Tensor) -> list[KeyValues]:
    return [(key[rows], value[rows]) for key, value in past]


def shuffled_seed(seed: int, purpose: str) -> int:
    """Derive a seed of its own for each purpose."""
    return random.Random(f"{seed} {purpose}").randrange(2**31)

"""Skywork-o1-Open-PRM for vLLM 0.32, which does not know it: Qwen2 with a value head, one number per token.

vLLM imports this module itself, in each of its processes, when it meets the architecture; see ``engine.plugin``.
Written after the authors' plugin for vLLM 0.6.4 (SkyworkAI/skywork-o1-prm-inference, ``vllm_add_dummy_model``): the
head is one linear layer with a bias, saved as ``v_head.summary``, over the hidden states after the last norm. Its
dropout does nothing outside training.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vllm.config import VllmConfig
from vllm.model_executor.layers.linear import ReplicatedLinear
from vllm.model_executor.layers.pooler.tokwise import pooler_for_token_classify
from vllm.model_executor.models.interfaces_base import default_pooling_type
from vllm.model_executor.models.qwen2_rm import Qwen2RewardBaseModel
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper

HEAD = WeightsMapper(orig_to_new_prefix={"v_head.summary.": "score."})


@default_pooling_type(tok_pooling_type="STEP")
class Qwen2ForPrmModel(Qwen2RewardBaseModel):  # type: ignore[misc]  # vllm's types are skipped
    """The architecture by its published name. vLLM's pooler makes a probability of the one logit, by a sigmoid."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        config = vllm_config.model_config
        config.hf_config.num_labels = 1
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.score = ReplicatedLinear(
            config.get_hidden_size(), 1, bias=True, params_dtype=self.head_dtype, return_bias=False
        )
        self.pooler = pooler_for_token_classify(config.pooler_config)

    def load_weights(self, weights: Iterable[tuple[str, Any]]) -> set[str]:
        """Loads what was published; the language model's own head, which it still holds, is left out."""
        loaded: set[str] = AutoWeightsLoader(self, ignore_unexpected_prefixes=["lm_head."]).load_weights(
            weights, mapper=HEAD
        )
        return loaded

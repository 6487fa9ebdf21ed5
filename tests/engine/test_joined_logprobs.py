"""Log-probabilities of pieces that vLLM joined for a slow reader."""

from __future__ import annotations

import numpy as np
from vllm.logprobs import FlatLogprobs

from engine.replies import _tables


def test_a_chosen_token_stays_among_the_likeliest() -> None:
    """The join of vLLM loses the second mention of the chosen token; the table has it, at its rank."""
    first, second = FlatLogprobs(), FlatLogprobs()
    first.append_fast([7, 7, 8, 9], [-0.1, -0.1, -3.0, -4.0], [1, 1, 2, 3], [None] * 4)
    second.append_fast([5, 4, 5, 6], [-1.5, -0.5, -1.5, -3.5], [2, 1, 2, 3], [None] * 4)
    second.append_fast([9, 1, 2, 3], [-6.0, -0.1, -3.0, -4.0], [9, 1, 2, 3], [None] * 4)
    first.extend(second)
    ids, values = _tables(first, 3, 3)
    np.testing.assert_array_equal(ids, [[7, 7, 8, 9], [5, 4, 5, 6], [9, 1, 2, 3]])
    np.testing.assert_allclose(
        values, [[-0.1, -0.1, -3.0, -4.0], [-1.5, -0.5, -1.5, -3.5], [-6.0, -0.1, -3.0, -4.0]], rtol=1e-6
    )

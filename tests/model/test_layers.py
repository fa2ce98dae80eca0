"""The small parts: tables that serve whoever comes next."""

import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.model.layers import rotary_table


def test_a_table_that_was_made_while_generating_serves_training():
    model = Qwen2Audio(presets.tiny())
    ids = torch.tensor([[5, 6, 7]])
    rotary_table.cache_clear()
    with torch.inference_mode():
        model(ids)
    model(ids, labels=ids).loss.backward()
    assert rotary_table.cache_info().misses == 1

"""The small parts: tables that serve whoever comes next."""

import torch

from q2a_core.model.layers import apply_rotary, rotary_table


def test_a_table_that_was_made_while_generating_serves_training():
    rotary_table.cache_clear()
    given = (7, 4, 10_000.0, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        made = rotary_table(*given)
    cos, sin = rotary_table(*given)
    assert cos is made[0], "kept"
    x = torch.ones(1, 1, 7, 4, requires_grad=True)
    apply_rotary(x, cos, sin).sum().backward()
    torch.testing.assert_close(x.grad[0, 0], cos + sin.roll(2, dims=-1))

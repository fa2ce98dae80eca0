"""Fresh weights: one seed draws all of them, and none begins where it should not."""

import torch

from q2a_core import Qwen2Audio, presets


def drawn(seed: int, *, elsewhere: int) -> dict[str, torch.Tensor]:
    """The weights of a seed, in a process whose own generator stands somewhere else."""
    torch.manual_seed(elsewhere)
    model = Qwen2Audio(presets.tiny())
    model.init_weights(torch.Generator().manual_seed(seed))
    return model.state_dict()


def test_a_seed_draws_every_weight():
    with torch.random.fork_rng():
        first, again = drawn(3, elsewhere=1), drawn(3, elsewhere=2)
        other = drawn(4, elsewhere=2)
    assert [name for name, weight in first.items() if not weight.equal(again[name])] == []
    fixed = [name for name, weight in first.items() if weight.equal(other[name])]
    assert "audio_encoder.embed_positions.weight" in fixed
    assert all("norm" in n or n.endswith("bias") or "positions" in n for n in fixed), fixed
    assert all(not weight.any() for name, weight in first.items() if name.endswith("bias"))

"""Fresh weights: one seed draws all of them, and none begins where it should not."""

import pytest
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


def test_weights_are_as_loud_as_their_place_asks():
    """Variance 1 / fan-in; what is added to the stream quieter by the number of additions, the convolutions louder."""
    model = Qwen2Audio(presets.mini())
    model.init_weights(torch.Generator().manual_seed(0))
    encoder, decoder = model.audio_encoder, model.decoder

    def loudness(layer: torch.nn.Module) -> float:
        return float(layer.weight.detach().std() * layer.weight[0].numel() ** 0.5)

    additions = (2 * model.config.decoder.num_layers) ** -0.5
    for layer, expected in (
        (encoder.conv1, 2.5),
        (encoder.conv2, 2.5),
        (encoder.layers[0].self_attn.q_proj, 1.0),
        (encoder.layers[3].fc2, additions),
        (encoder.layers[0].self_attn.out_proj, additions),
        (model.projector.linear, 1.0),
        (decoder.layers[0].mlp.up_proj, 1.0),
        (decoder.layers[3].mlp.down_proj, additions),
        (decoder.layers[0].self_attn.o_proj, additions),
        (decoder.lm_head, 1.0),
    ):
        assert loudness(layer) == pytest.approx(expected, rel=0.03)

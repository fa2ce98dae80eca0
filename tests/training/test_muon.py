"""Muon against the singular value decomposition, against torch's own, and through a saved state."""

import pytest
import torch

from q2a_core import presets
from q2a_core.model import Qwen2Audio
from q2a_core.training.muon import ADAM_RMS, Muon, Together, orthogonal
from q2a_core.training.optimizer import freeze, make_optimizer
from q2a_core.training.stages import pretrain
from q2a_core.training.supervised import Supervised


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 48, 16), (2, 16, 48)])
def test_orthogonal_keeps_the_directions_and_evens_their_strengths(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    strengths = torch.diagonal(u.mT @ orthogonal(matrices) @ vh.mT, dim1=-2, dim2=-1)
    rest = orthogonal(matrices) - u @ torch.diag_embed(strengths) @ vh
    assert rest.abs().max() < 1e-10, "same singular vectors"
    assert strengths.min() > 0.5
    assert strengths.max() < 1.3


def test_an_update_has_the_size_of_one_of_adamw():
    weight = torch.nn.Parameter(torch.zeros(64, 256))
    weight.grad = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    Muon([weight], lr=1.0, weight_decay=0.0).step()
    assert weight.square().mean().sqrt().item() == pytest.approx(ADAM_RMS, rel=0.2)


@pytest.mark.parametrize(("dtype", "near"), [(None, 0.05), (torch.bfloat16, 0.01)], ids=str)
@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_steps_as_torchs_own_does(shape, dtype, near):
    """Which rounds to bfloat16 inside, so its updates differ by up to some hundredths of their size from exact ones."""
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(shape, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    mine = Muon([ours], lr=0.02, weight_decay=0.1, dtype=dtype)
    oracle = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        oracle.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < near * moved


def _objective() -> Supervised:
    model = Qwen2Audio(presets.tiny())
    model.init_weights(torch.Generator().manual_seed(0))
    return Supervised(model, ctc_weight=1.0, seed=0)


def test_every_weight_has_one_optimizer_and_heads_and_embeddings_stay_with_adamw():
    stage = pretrain(steps=4, level="first", optimizer="muon", rates={"decoder": 0.5})
    objective = _objective()
    freeze(objective.model, stage)
    optimizer = make_optimizer(objective, stage)
    assert isinstance(optimizer, Together)
    names = {id(p): name for name, p in objective.named_parameters() if p.requires_grad}
    owned = [[id(p) for g in m.param_groups for p in g["params"]] for m in optimizer.members]
    assert sorted(owned[0] + owned[1]) == sorted(names)
    muon = {names[i] for i in owned[0]}
    assert all("head" not in name and "embed" not in name for name in muon)
    assert "model.audio_encoder.conv1.weight" in muon
    assert {g["factor"] for g in optimizer.members[0].param_groups} == {1.0, 0.5}
    assert optimizer.members[0].dtype is None
    assert make_optimizer(objective, stage, precision="bf16").members[0].dtype == torch.bfloat16


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    stage = pretrain(steps=4, level="first", optimizer="muon")
    straight, resumed = _objective(), _objective()

    def steps(objective, optimizer, seeds):
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for parameter in objective.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    freeze(straight.model, stage)
    freeze(resumed.model, stage)
    first, second = make_optimizer(straight, stage), make_optimizer(resumed, stage)
    steps(straight, first, (1, 2))
    steps(resumed, second, (1,))
    saved, weights = second.state_dict(), resumed.state_dict()
    third = _objective()
    freeze(third.model, stage)
    third.load_state_dict(weights)
    fresh = make_optimizer(third, stage)
    fresh.load_state_dict(saved)
    steps(third, fresh, (2,))
    for (name, ours), theirs in zip(third.named_parameters(), straight.parameters(), strict=True):
        assert torch.equal(ours, theirs), name

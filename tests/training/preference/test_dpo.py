"""DPO in the loop: labels, reference, cache, and that it learns what is preferred."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2a_core import presets
from q2a_core.audio.waveform import write_wav
from q2a_core.errors import AudioError, RunError
from q2a_core.model import Qwen2Audio
from q2a_core.text import user_message
from q2a_core.training.loop import Hooks
from q2a_core.training.optimizer import freeze
from q2a_core.training.preference import dpo
from q2a_core.training.preference.dpo import Preference, pair_logps, reference_logps, train_dpo
from q2a_core.training.preference.pair_batches import (
    PairBatches,
    collate_pairs,
    encode_pair,
    last_reply,
)
from q2a_core.training.preference.pair_file import PreferencePair, read_pairs
from q2a_core.training.processes import Processes
from q2a_core.training.runs.runlog import read_log
from q2a_core.training.runs.state import load_newest
from q2a_core.training.stages import StageConfig
from q2a_core.training.step import accumulate_gradients
from q2a_core.training.step_batches import MEGABATCH

STAGE = StageConfig(
    name="dpo",
    level="first",
    steps=8,
    batch_size=2,
    learning_rate=3e-3,
    warmup_steps=1,
    save_every=3,
    log_every=1,
)


def _model() -> Qwen2Audio:
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(0))
    return model


@pytest.fixture(scope="module")
def pairs() -> list[PreferencePair]:
    rng = np.random.default_rng(0)
    heard = [
        PreferencePair(
            prompt=(user_message("What is this sound?" if number % 2 else None, clips=1),),
            samples=rng.standard_normal(6000 + 900 * number).astype(np.float32) * 0.1,
            chosen="This is a dog.",
            rejected=f"A cat barks {number} times",
        )
        for number in range(6)
    ]
    history = (
        user_message("Hello"),
        {"role": "assistant", "content": "a dog"},
        user_message("What?"),
    )
    return [*heard, PreferencePair(prompt=history, chosen="rot", rejected="die Katze")]


def test_only_the_last_reply_is_labelled(pairs, chat_format):
    encoded = encode_pair(pairs[-1], chat_format)
    for side, text in ((encoded.chosen, "rot"), (encoded.rejected, "die Katze")):
        labelled = [t for t, on in zip(side.input_ids, side.loss_mask, strict=True) if on]
        assert chat_format.tokenizer.decode(labelled[:-1]) == text
        assert labelled[-1] == chat_format.tokenizer.token_id("<|im_end|>")
    assert last_reply([False, True, False, True, True, False]) == [False] * 3 + [True] * 2 + [False]


def test_both_replies_hear_their_own_clip(pairs, chat_format):
    """A batch gives each reply what it gets alone."""
    model = _model().eval()
    with torch.no_grad():
        together = pair_logps(
            model, collate_pairs([encode_pair(p, chat_format) for p in pairs], pad_id=0)
        )
        for number, pair in enumerate(pairs):
            alone = pair_logps(model, collate_pairs([encode_pair(pair, chat_format)], pad_id=0))
            torch.testing.assert_close(together[number], alone[0], atol=1e-4, rtol=1e-5)
            other = together[len(pairs) + number]
            torch.testing.assert_close(other, alone[1], atol=1e-4, rtol=1e-5)


def test_every_epoch_goes_through_all_pairs(pairs, chat_format):
    marks = [(float(number), 0.0) for number in range(len(pairs))]
    batches = PairBatches(pairs, marks, chat_format, batch_size=2, seed=0)
    drawn = [pair.reference[0] for pair in batches.draw(range(14), np.random.default_rng(0))]
    assert sorted(drawn[:7]) == sorted(drawn[7:]) == [float(n) for n in range(7)]
    assert drawn[:7] != drawn[7:]


def test_micro_batches_of_pairs_are_one_batch(pairs, chat_format):
    marks = [(-20.0, -21.0)] * len(pairs)
    found = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        objective = Preference(_model(), beta=0.1, nll_weight=0.5)
        freeze(objective.model, STAGE)
        batches = PairBatches(
            pairs, marks, chat_format, batch_size=batch_size, accumulate=accumulate, seed=0
        )
        tally = accumulate_gradients(objective, batches[0][0], processes=Processes())
        moving = [p for p in objective.parameters() if p.requires_grad]
        found.append((tally.means(), torch.cat([p.grad.flatten() for p in moving])))
    (means, gradient), (cut_means, cut_gradient) = found
    assert cut_means == pytest.approx(means, rel=1e-5)
    assert (gradient - cut_gradient).norm() / gradient.norm() < 5e-6


def test_the_chosen_replies_own_loss_is_a_mean_over_their_tokens(pairs, chat_format):
    """Equal to PyTorch's cross-entropy over the labelled tokens; without a weight it is only logged."""
    batch = collate_pairs([encode_pair(pair, chat_format) for pair in pairs[:3]], pad_id=0)
    model, inner = _model().eval(), batch.batch
    objective = Preference(model, beta=0.1, nll_weight=0.5)
    with torch.no_grad():
        sums, counts = objective(batch), objective.counts(batch)
        embeds = model.encode_audio(inner.mel, inner.mel_lengths)
        logits = model(inner.input_ids, audio_embeds=torch.cat([embeds, embeds])).logits
    expected = torch.nn.functional.cross_entropy(
        logits[:3, :-1].flatten(0, 1), inner.labels[:3, 1:].flatten()
    )
    assert float(sums["nll"] / counts["nll"]) == pytest.approx(float(expected), rel=1e-5)
    assert objective.weights == {"loss": 1.0, "nll": 0.5}
    assert Preference(model, beta=0.1).weights == {"loss": 1.0}


def test_the_reference_is_computed_once_for_each_pair_and_model(
    tmp_path, pairs, chat_format, monkeypatch
):
    judged = []
    judge = dpo.reply_logps
    monkeypatch.setattr(dpo, "reply_logps", lambda m, p, c: judged.append(len(p)) or judge(m, p, c))
    cache = tmp_path / "reference.json"

    def ask(model, some):
        return reference_logps(model, some, chat_format, cache, processes=Processes())

    first = ask(_model(), pairs[:4])
    assert ask(_model(), pairs[:4]) == first
    assert judged == [4]
    assert ask(_model(), pairs[:5])[:4] == first
    assert judged == [4, 1]
    other = _model()
    torch.nn.init.normal_(other.projector.linear.bias)
    assert ask(other, pairs[:5])[:4] != first
    assert judged == [4, 1, 5]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs, chat_format):
    run = tmp_path_factory.mktemp("dpo") / "run"
    model = train_dpo(
        STAGE, run, model=_model(), chat_format=chat_format, pairs=pairs, hooks=Hooks(workers=0)
    )
    return run, model


def test_it_starts_at_the_reference_and_learns_the_preference(trained):
    steps = [r for r in read_log(trained[0] / "log.jsonl") if r["kind"] == "step"]
    assert steps[0]["loss"] == pytest.approx(np.log(2), abs=1e-4)
    assert steps[0]["margin"] == pytest.approx(0.0, abs=1e-4)
    assert steps[0]["kl"] == pytest.approx(0.0, abs=1e-3)
    assert steps[-1]["accuracy"] == 1.0
    assert steps[-1]["margin"] > 0.2
    assert steps[-1]["loss"] < 0.8 * steps[0]["loss"]
    for name in ("chosen", "rejected"):
        assert steps[0][name] < 0.0


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, trained, pairs, chat_format):
    seen = []
    for resume in (False, True):
        hooks = Hooks(
            workers=0,
            on_progress=lambda progress: seen.append(progress.step),
            should_stop=lambda resume=resume: not resume and len(seen) >= 4,
        )
        model = train_dpo(
            STAGE,
            tmp_path / "run",
            model=_model(),
            chat_format=chat_format,
            pairs=pairs,
            hooks=hooks,
            resume=resume,
        )
    assert seen == list(range(1, 9))
    for one, two in zip(model.parameters(), trained[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_another_start_is_not_resumed(tmp_path, pairs, chat_format):
    stage = replace(STAGE, steps=1)
    options = {"chat_format": chat_format, "pairs": pairs, "hooks": Hooks(workers=0)}
    train_dpo(stage, tmp_path / "run", model=_model(), **options)
    other = copy.deepcopy(_model())
    torch.nn.init.normal_(other.projector.linear.bias)
    with pytest.raises(RunError, match="began from other weights"):
        train_dpo(stage, tmp_path / "run", model=other, resume=True, **options)
    assert json.loads((tmp_path / "run" / "reference.json").read_text("utf-8"))["logps"]


def test_another_precision_is_not_resumed(tmp_path, pairs, chat_format):
    stage = replace(STAGE, steps=1)
    options = {"chat_format": chat_format, "pairs": pairs, "hooks": Hooks(workers=0)}
    train_dpo(stage, tmp_path / "run", model=_model(), **options)
    cache = tmp_path / "run" / "reference.json"
    held = json.loads(cache.read_text("utf-8"))
    held["reference"] = held["reference"].replace(" no", " bf16")
    cache.write_text(json.dumps(held), "utf-8")
    with pytest.raises(RunError, match="run was begun with --precision bf16, not no; resume it"):
        train_dpo(stage, tmp_path / "run", model=_model(), resume=True, **options)


def test_other_pairs_are_not_resumed(tmp_path, pairs, chat_format):
    stage = replace(STAGE, steps=1)
    options = {"chat_format": chat_format, "hooks": Hooks(workers=0)}
    train_dpo(stage, tmp_path / "run", model=_model(), pairs=pairs, **options)
    for others in (pairs[:-1], pairs[::-1]):
        with pytest.raises(RunError, match=r"other preference pairs.*--pairs, --sampled and --abs"):
            train_dpo(stage, tmp_path / "run", model=_model(), pairs=others, resume=True, **options)
    before = (tmp_path / "run" / "reference.json").read_bytes()
    with pytest.raises(RunError, match="already holds a run"):
        train_dpo(stage, tmp_path / "run", model=_model(), pairs=pairs[:-1], **options)
    assert (tmp_path / "run" / "reference.json").read_bytes() == before
    train_dpo(stage, tmp_path / "run", model=_model(), pairs=pairs, resume=True, **options)


@pytest.fixture
def own(tmp_path) -> list[PreferencePair]:
    """Pairs of a file, whose clips are gone once it is read."""
    lines = []
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", np.full(6000 + 900 * number, 0.1, np.float32))
        lines.append({"clip": f"{number}.wav", "chosen": "This is a dog.", "rejected": "No."})
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return read_pairs(tmp_path / "own.jsonl")


def test_own_clips_may_go_away_once_they_are_read(tmp_path, own, chat_format):
    for pair in own:
        pair.clip.unlink()
    options = {"chat_format": chat_format, "hooks": Hooks(workers=0)}
    train_dpo(STAGE, tmp_path / "run", model=_model(), pairs=own, **options)
    assert load_newest(tmp_path / "run")[1]["step"] == STAGE.steps


@pytest.mark.parametrize("workers", [0, 1])
def test_an_own_clip_that_is_not_kept_and_goes_away_is_one_line_and_loses_no_step(
    tmp_path, own, chat_format, workers
):
    """It goes with the first step; what the worker has prepared until then is trained on."""
    stage = replace(STAGE, steps=200, save_every=1000)
    pairs = [replace(pair, samples=None) for pair in own]
    hooks = Hooks(workers=workers, on_progress=lambda _: own[1].clip.unlink(missing_ok=True))
    with pytest.raises(AudioError) as caught:
        train_dpo(
            stage,
            tmp_path / "run",
            model=_model(),
            chat_format=chat_format,
            pairs=pairs,
            hooks=hooks,
        )
    assert str(caught.value).startswith("1.wav: ")
    assert len(str(caught.value).splitlines()) == 1
    steps = [r["step"] for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "step"]
    assert load_newest(tmp_path / "run")[1]["step"] == steps[-1] == len(steps)
    assert len(steps) % MEGABATCH == 0


def test_no_pairs_are_refused(tmp_path, chat_format):
    with pytest.raises(RunError, match="no preference pairs"):
        train_dpo(STAGE, tmp_path / "run", model=_model(), chat_format=chat_format, pairs=[])

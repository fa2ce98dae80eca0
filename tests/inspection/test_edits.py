"""Edits beside what hooks on the model would do, and controls that are what they say."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2a_core.errors import ChatError
from q2a_core.inference import generate
from q2a_core.inspection.causes import (
    causal_map,
    control_ranges,
    edit_effect,
    num_controls,
    window_width,
)
from q2a_core.inspection.edits import (
    AUDIO_TOKENS,
    FILLS,
    Site,
    edited_logps,
    edited_reply,
    fill_values,
    held,
    sites,
    windows,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def all_sites(case):
    return sites(case.model.config)


class Overwrite:
    """The independent way: a hook on a copy of the model, which overwrites what enters one block."""

    def __init__(self, case, site, span, values):
        import copy

        self.model = copy.deepcopy(case.model)
        self.model.set_backend("reference")
        encoder = site.part == "encoder"
        tower = self.model.audio_encoder if encoder else self.model.decoder
        offset, step = (0, 2) if encoder else (case.first_audio, 1)

        def overwrite(module, args):
            x = args[0].clone()
            if x.shape[1] > 1:  # the prompt, not a decoding step
                x[:, offset + step * span[0] : offset + step * span[1]] = values[
                    step * span[0] : step * span[1]
                ]
            return (x, *args[1:])

        tower.layers[site.layer].register_forward_pre_hook(overwrite)


def mel_of(case):
    from inspection.conftest import noise
    from q2a_core.audio.mel import log_mel

    mel = log_mel(noise(1.69, 0), max_frames=case.model.config.encoder.max_mel_frames)[None]
    return {"mel": mel, "mel_lengths": torch.tensor([169])}


@pytest.mark.parametrize("fill", FILLS)
def test_an_edit_is_what_a_hook_would_do(case, other, all_sites, fill):
    ids = torch.cat([case.prompt_ids, torch.tensor([case.reply_ids[:-1]])], dim=1)
    span = (10, 25)
    for site in all_sites:
        values = fill_values(case, site, fill, rng=rng(), other=other)
        hooked = Overwrite(case, site, span, values).model
        with torch.inference_mode():
            logits = hooked(ids, **mel_of(case)).logits[0, -len(case.reply_ids) :]
            expected = logits.log_softmax(-1)[range(len(case.reply_ids)), list(case.reply_ids)]
            reply = generate(hooked, case.prompt_ids, settings=case.settings, **mel_of(case))
        [logps] = edited_logps(case, site, [span], values)
        np.testing.assert_allclose(logps, expected.numpy(), atol=1e-4)
        assert edited_reply(case, site, span, values) == reply.token_ids[0]
        assert np.abs(logps - case.logps.numpy()).max() > 1e-4, "and it did something"


def test_ranges_are_edited_one_at_a_time(case, all_sites, monkeypatch):
    from q2a_core.inspection import edits

    spans = [(0, 3), (39, 42), (7, 8), (0, 42)]
    for site in all_sites:
        values = fill_values(case, site, "zero")
        together = edited_logps(case, site, spans, values)
        monkeypatch.setattr(edits, "POSITIONS", 1)  # one row at a time
        alone = np.concatenate([edited_logps(case, site, [span], values) for span in spans])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        monkeypatch.undo()


def test_writing_what_is_there_changes_nothing(case, all_sites):
    for site in all_sites:
        [logps] = edited_logps(case, site, [(0, case.num_tokens)], held(case, site))
        np.testing.assert_allclose(logps, case.logps.numpy(), atol=1e-5)
        reply = edited_reply(case, site, (0, case.num_tokens), held(case, site))
        assert reply == case.reply.token_ids


def test_all_of_another_clip_is_the_other_clip(case, chat):
    """Where both clips are equally long, everything of the other one gives its reply and its log-probabilities."""
    from inspection.conftest import noise
    from q2a_core.inspection.case import open_case

    twin = open_case(chat, noise(1.69, 5), "What is this sound?", sample_rate=16_000)
    for site in sites(case.model.config)[:3]:  # deeper in the decoder the text has heard already
        values = fill_values(case, site, "other", other=twin)
        assert edited_reply(case, site, (0, 42), values) == twin.reply.token_ids
        [logps] = edited_logps(case.with_reply(twin.reply_ids), site, [(0, 42)], values)
        np.testing.assert_allclose(logps, twin.logps.numpy(), atol=1e-4)


def test_fills_are_what_they_say(case, other):
    for site in (AUDIO_TOKENS, Site(part="encoder", layer=1)):
        own = held(case, site)
        assert not fill_values(case, site, "zero").any()
        mean = fill_values(case, site, "mean")
        torch.testing.assert_close(mean[3], own.mean(0))
        torch.testing.assert_close(mean[0], mean[-1])
        noisy = fill_values(case, site, "noise", rng=rng())
        torch.testing.assert_close(noisy, fill_values(case, site, "noise", rng=rng()))
        z = (noisy - own.mean(0)) / own.std(0, correction=0)
        assert float(z.mean()) == pytest.approx(0, abs=0.1)
        assert float(z.std()) == pytest.approx(1, abs=0.1)
        theirs = held(other, site)
        swapped = fill_values(case, site, "other", other=other)
        torch.testing.assert_close(swapped[: len(theirs)], theirs)
        torch.testing.assert_close(swapped[len(theirs)], theirs[0])
        assert len(swapped) == len(own)


@pytest.mark.parametrize(
    ("fill", "options", "fragment"),
    [
        ("noise", {}, "pass rng"),
        ("other", {}, "another clip"),
        ("median", {}, "expected one of mean, zero, noise, other"),
    ],
)
def test_a_wrong_fill_is_one_sentence(case, fill, options, fragment):
    with pytest.raises(ChatError, match=fragment):
        fill_values(case, AUDIO_TOKENS, fill, **options)


@pytest.mark.parametrize("span", [(0, 0), (-1, 2), (3, 2), (40, 43)])
def test_a_range_outside_the_clip_is_refused(case, span):
    with pytest.raises(ChatError, match="the clip has tokens 0 to 42"):
        edit_effect(case, span, fill="mean", rng=rng())


@pytest.mark.parametrize(
    ("tokens", "span", "count"),
    [(42, (10, 14), 16), (42, (0, 30), 12), (10, (0, 9), 1), (10, (0, 10), 0), (1, (0, 1), 0)],
)
def test_controls_are_other_ranges_of_the_same_width(tokens, span, count):
    found = control_ranges(tokens, span, count=16, rng=rng())
    assert len(found) == len(set(found)) == count
    width = span[1] - span[0]
    for first, stop in found:
        assert 0 <= first < stop <= tokens
        assert stop - first == width
        assert first != span[0]
        if tokens - max(span[0], tokens - span[1]) >= width and tokens >= 3 * width:
            assert first >= span[1] or stop <= span[0], "there was room beside it"
    assert found == control_ranges(tokens, span, count=16, rng=rng())


def test_effect_is_measured_as_the_parts_are(case):
    effect = edit_effect(case, (5, 15), fill="mean", rng=rng(), controls=6)
    values = fill_values(case, AUDIO_TOKENS, "mean")
    [after] = edited_logps(case, AUDIO_TOKENS, [(5, 15)], values)
    np.testing.assert_allclose(effect.after, after, atol=1e-6)
    assert effect.change == pytest.approx(float((after - case.logps.numpy()).sum()), abs=1e-5)
    assert effect.reply_ids == edited_reply(case, AUDIO_TOKENS, (5, 15), values)
    assert effect.reply == case.tokenizer.decode(effect.reply_ids)
    controls = edited_logps(case, AUDIO_TOKENS, effect.control_ranges, values)
    np.testing.assert_allclose(effect.controls, controls, atol=1e-5)
    changes = (controls - case.logps.numpy()).sum(-1)
    np.testing.assert_allclose(effect.control_changes, changes, atol=1e-4)
    assert effect.beaten == sum(change > effect.change for change in changes)
    whole = edit_effect(case, (0, 42), fill="mean", rng=rng())
    assert effect.whole_change == pytest.approx(whole.change, abs=1e-4)
    assert whole.whole_change == pytest.approx(whole.change, abs=1e-4)
    assert not len(whole.controls)
    assert whole.beaten == 0


def test_keeping_a_range_is_overwriting_the_rest(case, other):
    """Two ways to the same states: keep [0, 15), or overwrite [15, 42); and the comparison turns round."""
    for site in (AUDIO_TOKENS, Site(part="encoder", layer=1)):
        values = fill_values(case, site, "other", other=other)
        kept = edited_logps(case, site, [(0, 15)], values, keep=True)
        np.testing.assert_allclose(kept, edited_logps(case, site, [(15, 42)], values), atol=1e-5)
        reply = edited_reply(case, site, (0, 15), values, keep=True)
        assert reply == edited_reply(case, site, (15, 42), values)
        effect = edit_effect(
            case, (0, 15), fill="other", rng=rng(), site=site, other=other, keep=True
        )
        np.testing.assert_allclose(effect.after, kept[0], atol=1e-5)
        overwritten = edited_logps(case, site, [(0, 42)], values)[0]
        np.testing.assert_allclose(effect.before, overwritten, atol=1e-5)
        np.testing.assert_allclose(effect.whole, case.logps.numpy(), atol=1e-5)
        changes = (effect.controls - overwritten).sum(-1)
        assert effect.beaten == sum(change < effect.change for change in changes)


def test_causal_map_holds_the_effects(case, all_sites):
    found = causal_map(case, fill="mean", rng=rng())
    assert found.sites == all_sites
    assert found.windows == windows(42, 3) == windows(42, window_width(case))
    assert found.change.shape == (4, 14, len(case.reply_ids))
    effect = edit_effect(case, found.windows[5], fill="mean", rng=rng(), site=all_sites[3])
    np.testing.assert_allclose(found.change[3, 5], effect.after - effect.before, atol=1e-5)
    assert found.of()[3, 5] == pytest.approx(effect.change, abs=1e-4)
    assert found.of(1, 3)[3, 5] == pytest.approx(float(found.change[3, 5, 1:3].sum()), abs=1e-6)
    assert float(found.whole[3].sum()) == pytest.approx(effect.whole_change, abs=1e-4)
    kept = causal_map(case, fill="mean", rng=rng(), width=42, keep=True, only=all_sites[:2])
    np.testing.assert_allclose(kept.change[:, 0], kept.whole, atol=1e-4)


def test_a_long_clip_is_compared_with_fewer_ranges(case):
    assert num_controls(case, AUDIO_TOKENS) == 16
    long = replace(case, decoder_states=[torch.zeros(1, 400, 1)])
    assert num_controls(long, AUDIO_TOKENS) == 10
    assert num_controls(long, Site(part="encoder", layer=0)) == 4000 // 485
    longer = replace(case, decoder_states=[torch.zeros(1, 4000, 1)])
    assert num_controls(longer, AUDIO_TOKENS) == 5


def test_windows_cover_a_clip():
    for tokens in (1, 2, 3, 7, 42, 750):
        spans = windows(tokens, 4)
        assert [k for first, stop in spans for k in range(first, stop)] == list(range(tokens))


def test_threads_do_not_disturb_each_other(case, other, chat):
    """Five at once on one model: edits of one never reach another's maps, edits or replies."""
    from q2a_core.inspection.attention_views import overview

    def edit(seed):
        effect = edit_effect(
            case, (seed, seed + 9), fill="noise", rng=rng(seed), site=Site(part="encoder", layer=0)
        )
        return effect.after, effect.controls, effect.reply_ids

    def ask():
        from inspection.conftest import noise

        return chat.fork().ask(noise(0.8, 1), "What is this sound?", sample_rate=16_000).logps

    tasks = [lambda: edit(1), lambda: edit(2), ask, lambda: overview(other, "decoder").entropy]
    alone = [task() for task in tasks]
    found: list[list] = [[] for _ in tasks]

    def repeat(k):
        for _ in range(5):
            found[k].append(tasks[k]())

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, results in zip(alone, found, strict=True):
        assert len(results) == 5
        for result in results:
            for a, b in zip(expected, result, strict=True):
                np.testing.assert_equal(a, b)


def test_an_error_leaves_the_model_as_it_was(case):
    before = {name: value.clone() for name, value in case.model.state_dict().items()}
    with pytest.raises(ChatError):
        edited_logps(case, AUDIO_TOKENS, [(0, 99)], fill_values(case, AUDIO_TOKENS, "zero"))
    with pytest.raises(RuntimeError):
        edited_logps(case, AUDIO_TOKENS, [(0, 5)], torch.zeros(42, 7))
    assert all(torch.equal(value, before[name]) for name, value in case.model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in case.model.modules())

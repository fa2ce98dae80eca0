"""A person's own pairs: drawn, written, zipped, uploaded again, trained on; and uploads that mean no good."""

import io
import json
import zipfile

import numpy as np
import pytest

from q2a_core import paths
from q2a_core.audio import Waveform, load_waveform, wav_bytes
from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import Q2AError, RunError
from q2a_core.inference import AudioChat
from q2a_core.training.preference.own_pairs import (
    OwnPair,
    clip_name,
    receive_pairs,
    two_replies,
    write_pairs,
    zip_pairs,
)
from q2a_core.training.preference.pair_file import read_pairs
from q2a_core.training.preference.pair_report import histogram, report_pairs
from q2a_core.training.runs.class_run import ClassRun, class_stage, how_to_make, starts_for
from q2a_core.training.stages import CLASS_BUDGET


@pytest.fixture
def samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    rounded = np.rint(rng.uniform(-0.3, 0.3, 8000) * 32_768) / 32_768  # as a wav holds them
    return rounded.astype(np.float32)


@pytest.fixture
def pairs(samples) -> list[OwnPair]:
    clip = clip_name(samples)
    chosen = {"chosen": "a dog", "rejected": "a cat"}
    return [
        OwnPair(clip=clip, samples=samples, prompt="What is it?", **chosen),
        OwnPair(clip=clip, samples=samples, prompt=None, **chosen).swapped(),
        OwnPair(clip=None, samples=None, prompt="Hello\n“you”", chosen="你\u2028好", rejected="No"),
    ]


def same(a: OwnPair, b: OwnPair) -> bool:
    heard = a.samples is b.samples or np.array_equal(a.samples, b.samples)
    return a.line() == b.line() and heard


def test_what_is_written_is_what_q2a_train_reads(tmp_path, pairs):
    found = read_pairs(write_pairs(pairs, tmp_path / "pairs"))
    assert [(p.chosen, p.rejected) for p in found] == [(p.chosen, p.rejected) for p in pairs]
    assert [len(p.prompt[0]["content"]) for p in found] == [2, 1, 1]
    assert np.array_equal(found[0].waveform(), pairs[0].samples)
    assert found[2].waveform() is None


def test_a_download_can_be_uploaded_again(pairs):
    data = zip_pairs(pairs)
    assert data == zip_pairs(pairs), "the same pairs, the same bytes"
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        uploads = {name: file.read(name) for name in file.namelist()}
    assert len(uploads) == 2, "one clip for two pairs"
    found = receive_pairs(uploads)
    assert all(same(a, b) for a, b in zip(found, pairs, strict=True))
    only_list = {"mine.jsonl": uploads["pairs.jsonl"]}
    known = {clip_name(pairs[0].samples): pairs[0].samples}
    assert all(same(a, b) for a, b in zip(receive_pairs(only_list, known), pairs, strict=True))


def upload(clip: object, **files: bytes) -> dict[str, bytes]:
    line = {"clip": clip, "prompt": "What?", "chosen": "a", "rejected": "b"}
    return {"pairs.jsonl": json.dumps(line).encode()} | files


@pytest.mark.parametrize(
    "clip", ["../../../etc/hostname", "/etc/hostname", "C:\\windows\\win.ini", "~/x.wav", ""]
)
def test_an_upload_opens_nothing_but_itself(clip):
    with pytest.raises(RunError, match=r"line 1: the clip .* is neither a shipped sample nor"):
        receive_pairs(upload(clip))


def test_a_path_in_an_upload_is_a_label(samples):
    found = receive_pairs(upload("../../sounds/a b.wav") | {"x/../a b.wav": wav_bytes(samples)})
    assert np.array_equal(found[0].samples, samples)
    assert found[0].clip == clip_name(samples)


@pytest.mark.parametrize(
    ("uploads", "says"),
    [
        ({}, "found 0 lists"),
        ({"a.jsonl": b"{}", "b.jsonl": b"{}"}, "found 2 lists"),
        ({"a.jsonl": b""}, "holds no pairs"),
        ({"a.jsonl": b"\xff\xfe{"}, "line 1"),
        ({"a.jsonl": b"[" * 100_000}, "line 1"),
        ({"a.jsonl": b"[]\n"}, "line 1: found a list"),
        ({"a.jsonl": b'{"chosen": 1}\n'}, "line 1: chosen is 1"),
        ({"a.jsonl": b"\n" * 501}, "501 lines; expected at most 500"),
        (upload("a.wav", **{"a.wav": b"RIFF"}), "clip"),
        (upload({"a": 1}), "line 1: clip is"),
        ({"a.jsonl": b'{"clip": null, "prompt": "\\ud800", "chosen": "a"}'}, "line 1: found half"),
        ({"a.jsonl": b'\n{"prompt": "gr\xfcn"}'}, "line 2: found bytes that are not UTF-8"),
    ],
)
def test_a_bad_upload_is_one_sentence(uploads, says):
    with pytest.raises(Q2AError, match=says) as caught:
        receive_pairs(uploads)
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)


def test_two_replies_differ_and_come_again(tiny_checkpoint, samples):
    chat = AudioChat.from_pretrained(tiny_checkpoint)
    waveform = load_waveform(samples, sample_rate=16_000)
    assert isinstance(waveform, Waveform)
    first = two_replies(chat, waveform, "What?", temperature=1.0, seed=3)
    again = two_replies(chat, waveform, "What?", temperature=1.0, seed=3)
    assert [r.text for r in first] == [r.text for r in again]
    assert first[0].text != first[1].text
    assert not chat.messages, "the dialogue on the page is another one"
    assert two_replies(chat, waveform, "What?", temperature=0.0) is None, "greedy says one thing"


def test_the_report_is_that_of_the_two_checkpoints(tmp_path, pairs, tiny_checkpoint, tiny_model):
    """The log-probability of a reply by hand: the full forward pass, log-softmax, one sum."""
    import copy

    import torch

    from q2a_core.checkpoint import save_checkpoint
    from q2a_core.training.preference.pair_batches import encode_pair

    before = open_checkpoint(tiny_checkpoint)
    moved = copy.deepcopy(tiny_model)
    with torch.no_grad():
        moved.decoder.lm_head.weight.mul_(1.25)
    save_checkpoint(moved, tmp_path / "after", chat_format=before.chat_format)
    after = open_checkpoint(tmp_path / "after")
    own = read_pairs(write_pairs(pairs, tmp_path / "pairs"))
    report = report_pairs(before, after, own)

    def by_hand(checkpoint, pair, side):
        encoded = encode_pair(pair, checkpoint.chat_format)
        row = getattr(encoded, side)
        mel = encoded.chosen.mel
        heard = (
            {}
            if mel is None
            else {"mel": mel[None], "mel_lengths": torch.tensor([encoded.chosen.mel_length])}
        )
        with torch.no_grad():
            ids = torch.tensor([row.input_ids])
            logits = checkpoint.load_model()(ids, **heard).logits[0]
        logps = logits.log_softmax(-1)
        return sum(
            float(logps[t - 1, row.input_ids[t]]) for t, on in enumerate(row.loss_mask) if on
        )

    for name, checkpoint in (("before", before), ("after", after)):
        for side in ("chosen", "rejected"):
            expected = [by_hand(checkpoint, pair, side) for pair in own]
            np.testing.assert_allclose(getattr(report, f"{side}_{name}"), expected, atol=1e-3)
    chosen = report.chosen_after - report.chosen_before
    rejected = report.rejected_after - report.rejected_before
    np.testing.assert_allclose(report.margins(0.2), 2 * report.margins(0.1))
    np.testing.assert_allclose(report.margins(1.0), chosen - rejected)
    assert report.kl == pytest.approx(float(np.mean(-(chosen + rejected) / 2)))
    assert report.margins(0.1)[0] == pytest.approx(-report.margins(0.1)[1], abs=5), "swapped pair"
    still = report_pairs(before, before, own)
    assert still.loss(0.3) == pytest.approx(np.log(2))
    assert still.kl == 0


def test_the_histogram_keeps_the_sign():
    edges, counts = histogram(np.array([-2.0, 0.1, 0.2, 3.0]))
    assert edges[0] == -edges[-1] == -3.0
    assert counts.sum() == 4
    assert counts[-1] == 1
    assert histogram(np.zeros(3))[1].sum() == 3
    assert histogram(np.array([]))[1].sum() == 0


def test_a_lessons_options_are_those_of_the_command(monkeypatch):
    """Parsed by the command line itself, up to where the run would begin."""
    from typer.testing import CliRunner

    from q2a_core.cli import train as cli

    seen = []
    monkeypatch.setattr(cli, "run_to_end", lambda config, run, *rest: seen.append((config, run)))
    class_run = ClassRun(
        stage="sft", start="mini-sft", steps=7, learning_rate=2e-4, dialogues=24, seed=5
    )
    done = CliRunner().invoke(cli.app, [*class_run.options(), "--run", "here"])
    assert done.exit_code == 0, done.output
    [(config, run)] = seen
    assert (config.name, config.start, config.steps, config.seed) == ("sft", "mini-sft", 7, 5)
    assert (config.batch_size, config.accumulate, config.step_size) == (4, 6, 24)
    assert config.learning_rate == 2e-4
    assert config.warmup_steps == CLASS_BUDGET["sft"]["warmup_steps"]
    assert str(run) == "here"
    for dialogues in (1, 7, 16, 30):
        options = ClassRun(stage="start", dialogues=dialogues).options()
        CliRunner().invoke(cli.app, options)
        assert seen[-1][0].step_size == dialogues
        assert seen[-1][0].start is None
    for stage in ("start", "pretrain", "sft", "dpo"):
        CliRunner().invoke(cli.app, ClassRun(stage=stage, start="mini-sft").options())
        (ours, _), budget = seen[-1], class_stage(stage)
        for name in ("steps", "learning_rate", "batch_size", "accumulate", "warmup_steps"):
            assert getattr(ours, name) == getattr(budget, name), f"{stage}: {name}"
    class_run = ClassRun(stage="dpo", start="mini-sft", beta=0.3)
    CliRunner().invoke(cli.app, class_run.options())
    assert seen[-1][0].beta == 0.3
    assert class_run.command("my run").endswith('--run "my run"')


def test_what_a_stage_may_begin_from(monkeypatch, tmp_path):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    assert starts_for("start") == {"fresh weights": ""}
    run = tmp_path / "runs" / "mine"
    (run / "checkpoint").mkdir(parents=True)
    (run / "config.json").write_text("{}", "utf-8")
    (run / "checkpoint" / "config.json").write_text("{}", "utf-8")
    (run / "checkpoint" / "about.json").write_text('{"stage": "sft"}', "utf-8")
    assert "run mine" not in starts_for("dpo"), "it has no tokenizer, or another one"
    shipped = (paths.data_samples() / "tokenizer" / "tokenizer.json").read_bytes()
    (run / "checkpoint" / "tokenizer.json").write_bytes(shipped)
    assert starts_for("dpo")["run mine"] == str(run / "checkpoint")
    assert next(iter(starts_for("sft"))) == "mini-pretrain"
    assert how_to_make("dpo").startswith("q2a train dpo --start ")
    assert class_stage("dpo").steps == CLASS_BUDGET["dpo"]["steps"]

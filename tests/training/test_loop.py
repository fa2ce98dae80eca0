"""The loop: it learns, it stops, and it goes on bit for bit."""

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from q2a_core import presets
from q2a_core.errors import AudioError, Q2AError, RunError
from q2a_core.model import Qwen2Audio
from q2a_core.training import loop
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.loop import Hooks, train
from q2a_core.training.optimizer import learning_rate, make_optimizer
from q2a_core.training.origin import note_start, noted_start
from q2a_core.training.runs.follow import Follower
from q2a_core.training.runs.presence import RunLock
from q2a_core.training.runs.runlog import RunLog, read_log
from q2a_core.training.runs.state import load_newest, restore, save_state, saved_states
from q2a_core.training.stages import StageConfig
from q2a_core.training.step import update
from q2a_core.training.step_batches import MEGABATCH
from q2a_core.training.supervised import Supervised
from q2a_core.world.corpus import Corpus
from training.unreadable import UnreadableBatches

STAGE = StageConfig(
    name="pretrain",
    level="first",
    steps=6,
    batch_size=2,
    warmup_steps=2,
    save_every=3,
    log_every=1,
    sample_every=100,
)


def _model(seed: int = 0) -> Qwen2Audio:
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(seed))
    return model


def _train(
    run,
    book,
    chat_format,
    *,
    stage=STAGE,
    stop_at=None,
    resume=False,
    start=None,
    said=None,
    batches=CorpusBatches,
    on_progress=lambda progress: None,
    workers=0,
):
    seen = []

    def progress(progress):
        seen.append(progress.step)
        on_progress(progress)

    hooks = Hooks(
        on_progress=progress,
        on_message=(said if said is not None else []).append,
        should_stop=lambda: stop_at is not None and len(seen) >= stop_at,
        workers=workers,
    )
    return train(
        stage,
        run,
        objective=Supervised(_model(), ctc_weight=stage.ctc_weight, seed=stage.seed),
        batches=batches(
            Corpus(book, "train", seed=0, level="first"),
            chat_format,
            batch_size=stage.batch_size,
            accumulate=stage.accumulate,
            seed=stage.seed,
        ),
        start=start,
        resume=resume,
        hooks=hooks,
    )


def _same(one: Qwen2Audio, two: Qwen2Audio) -> bool:
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, small_book, chat_format):
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    return run, _train(run, small_book, chat_format)


def _losses(run) -> list[tuple[int, float, float]]:
    return [
        (r["step"], r["loss"], r.get("spelling"))
        for r in read_log(run / "log.jsonl")
        if r["kind"] == "step"
    ]


@pytest.mark.parametrize("stop_at", [1, 2, 4, 5])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, small_book, chat_format, unbroken, stop_at):
    run = tmp_path / "run"
    _train(run, small_book, chat_format, stop_at=stop_at)
    assert len(_losses(run)) == stop_at
    resumed = _train(run, small_book, chat_format, resume=True)
    assert _same(resumed, unbroken[1])
    assert _losses(run) == _losses(unbroken[0])


def test_means_in_the_log_go_on_over_a_kill_between_two_of_its_lines(
    tmp_path, small_book, chat_format
):
    """Saved after step 2 and killed before step 4: the line of step 3 tells of all three steps."""
    stage = replace(STAGE, steps=4, save_every=2)
    _train(tmp_path / "often", small_book, chat_format, stage=stage)
    run = tmp_path / "run"
    stage = replace(stage, log_every=3)
    _train(run, small_book, chat_format, stage=stage)
    unbroken = _losses(run)
    shutil.rmtree(saved_states(run)[-1])
    _train(run, small_book, chat_format, stage=stage, resume=True)
    assert _losses(run) == unbroken
    (step, loss, _), *_ = unbroken
    assert step == 3
    singles = [one for _, one, _ in _losses(tmp_path / "often")[:3]]
    assert min(singles) < loss < max(singles)


def test_a_damaged_state_is_moved_aside_and_the_one_before_continues(
    tmp_path, small_book, chat_format, unbroken
):
    run = tmp_path / "run"
    _train(run, small_book, chat_format, stop_at=5)
    newest = saved_states(run)[-1]
    content = bytearray((newest / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "weights.safetensors").write_bytes(content)
    resumed = _train(run, small_book, chat_format, resume=True)
    assert _same(resumed, unbroken[1])
    assert _losses(run) == _losses(unbroken[0])
    assert list((run / "states").glob(".corrupt-*"))


def test_the_loss_falls(tmp_path, small_book, chat_format):
    from dataclasses import replace

    stage = replace(STAGE, steps=40, batch_size=8, learning_rate=3e-3)
    _train(tmp_path / "run", small_book, chat_format, stage=stage)
    losses = [loss for _, loss, _ in _losses(tmp_path / "run")]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_a_folder_is_held_by_one_run(tmp_path, small_book, chat_format):
    run = tmp_path / "run"
    with RunLock(run), pytest.raises(RunError, match="another process is training in run"):
        _train(run, small_book, chat_format)


def test_a_folder_with_a_run_is_not_overwritten(small_book, chat_format, unbroken):
    with pytest.raises(RunError, match="--resume"):
        _train(unbroken[0], small_book, chat_format)


def test_a_run_is_not_resumed_with_other_settings(tmp_path, small_book, chat_format):
    from dataclasses import replace

    _train(tmp_path / "run", small_book, chat_format, stop_at=1)
    with pytest.raises(RunError, match=r"other settings: learning_rate 0.001, not 1.0; resume"):
        _train(
            tmp_path / "run",
            small_book,
            chat_format,
            stage=replace(STAGE, learning_rate=1.0),
            resume=True,
        )


def test_a_run_is_not_resumed_in_another_precision(tmp_path, small_book, chat_format):
    run = tmp_path / "run"
    _train(run, small_book, chat_format, stop_at=1)
    begun, *rest = read_log(run / "log.jsonl")
    assert begun["precision"] == "no"
    lines = [json.dumps(record) + "\n" for record in (begun | {"precision": "bf16"}, *rest)]
    (run / "log.jsonl").write_text("".join(lines), "utf-8")
    with pytest.raises(RunError, match="run was begun with --precision bf16, not no; resume it"):
        _train(run, small_book, chat_format, resume=True)


def test_a_folder_without_a_run_is_not_resumed(tmp_path, small_book, chat_format):
    with pytest.raises(RunError, match="run holds no run to go on with; leave out --resume"):
        _train(tmp_path / "run", small_book, chat_format, resume=True)
    assert not (tmp_path / "run").exists()


def test_a_log_that_no_state_remembers_is_kept(tmp_path, small_book, chat_format, unbroken):
    """Every saved state is damaged: the run begins again, and what its log told can still be read."""
    run, said = tmp_path / "run", []
    _train(run, small_book, chat_format, stop_at=4)
    told = (run / "log.jsonl").read_bytes()
    for state in saved_states(run):
        (state / "optimizer.pt").write_bytes(b"")
    resumed = _train(run, small_book, chat_format, resume=True, said=said)
    assert _same(resumed, unbroken[1])
    assert (run / "log-1.jsonl").read_bytes() == told
    assert any("no whole saved state" in line and "log-1.jsonl" in line for line in said)
    assert _losses(run) == _losses(unbroken[0])


def test_what_a_run_began_from_is_noted_with_its_first_step(tmp_path, small_book, chat_format):
    run = tmp_path / "run"
    first, second = ({"name": name, "hash": name, "clips": 1} for name in ("one", "two"))
    note_start(tmp_path, first)  # of an attempt that came no further
    (tmp_path / "start.json").rename(_made(run) / "start.json")
    _train(run, small_book, chat_format, stop_at=1, start=second)
    assert noted_start(run) == second
    _train(run, small_book, chat_format, resume=True, start=first)
    assert noted_start(run) == second, "a resumed run began where it began"
    note_start(_made(tmp_path / "fresh"), first)
    _train(tmp_path / "fresh", small_book, chat_format, stop_at=1)
    assert noted_start(tmp_path / "fresh") is None


def _made(folder):
    folder.mkdir()
    return folder


def test_frozen_parts_keep_their_weights(tmp_path, small_book, chat_format):
    from dataclasses import replace

    trained = _train(
        tmp_path / "run",
        small_book,
        chat_format,
        stage=replace(STAGE, steps=2, trains=("decoder",)),
    )
    fresh = _model()
    assert _same_part(trained.audio_encoder, fresh.audio_encoder)
    assert not _same_part(trained.decoder, fresh.decoder)


def _same_part(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_full_disk_leaves_the_earlier_state(tmp_path, small_book, chat_format, monkeypatch):
    run = tmp_path / "run"
    _train(run, small_book, chat_format, stop_at=3)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("q2a_core.training.runs.state.torch.save", full)
    with pytest.raises(RunError, match=r"No space left.*earlier states are untouched"):
        _train(run, small_book, chat_format, resume=True)
    found = load_newest(run)
    assert found is not None
    assert found[1]["step"] == 3
    assert not list((run / "states").glob(".*.tmp"))


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.pt"])
def test_a_write_that_the_system_refuses_is_told_in_its_words(
    tmp_path, small_book, chat_format, file
):
    """A real refusal: files may grow to less than the one at hand."""
    resource = pytest.importorskip("resource")
    run = tmp_path / "run"
    _train(run, small_book, chat_format, stop_at=3)
    earlier = saved_states(run)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (earlier[-1] / file).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, limits[1]))
    try:
        with pytest.raises(RunError, match=r"File too large.*earlier states are untouched") as told:
            _train(run, small_book, chat_format, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(str(told.value).splitlines()) == 1
    assert saved_states(run) == earlier


LONG = replace(STAGE, steps=MEGABATCH + 3, save_every=100)
"""Beyond the first megabatch, and saved by nothing but its end."""


@pytest.fixture(scope="module")
def long_unbroken(tmp_path_factory, small_book, chat_format):
    run = tmp_path_factory.mktemp("runs") / "long"
    return run, _train(run, small_book, chat_format, stage=LONG)


def _assert_saved_and_told(run, book, chat_format, unbroken, error: Q2AError) -> None:
    """What the steps before the error made is there, the log tells of it, and a resumed run equals an unbroken one."""
    *_, last = read_log(run / "log.jsonl")
    assert last == {"kind": "end", "step": MEGABATCH, "finished": False, "error": str(error)}
    status = Follower(run).refresh()
    assert (status.state, status.error) == ("died", str(error))
    found = load_newest(run)
    assert found is not None
    assert found[1]["step"] == MEGABATCH
    resumed = _train(run, book, chat_format, stage=LONG, resume=True)
    assert _same(resumed, unbroken[1])
    assert _losses(run) == _losses(unbroken[0])
    assert not [r for r in read_log(run / "log.jsonl") if "error" in r]


def test_a_clip_that_cannot_be_read_ends_a_run_with_its_steps_saved(
    tmp_path, small_book, chat_format, long_unbroken
):
    run = tmp_path / "run"
    with pytest.raises(AudioError, match=r"^c\.wav: not found; expected a sound file$") as caught:
        _train(run, small_book, chat_format, stage=LONG, batches=UnreadableBatches)
    _assert_saved_and_told(run, small_book, chat_format, long_unbroken, caught.value)


@pytest.mark.skipif(os.name == "nt", reason="a kill without mercy is POSIX's")
def test_a_worker_that_dies_ends_a_run_with_its_steps_saved(
    tmp_path, small_book, chat_format, long_unbroken
):
    run, before = tmp_path / "run", set(multiprocessing.active_children())

    def kill(progress):
        for worker in set(multiprocessing.active_children()) - before:
            worker.kill()

    with pytest.raises(
        RunError, match=r"died: DataLoader worker .*; go on with --resume"
    ) as caught:
        _train(run, small_book, chat_format, stage=LONG, on_progress=kill, workers=1)
    _assert_saved_and_told(run, small_book, chat_format, long_unbroken, caught.value)


def test_an_error_within_a_step_saves_nothing_and_is_told(
    tmp_path, small_book, chat_format, monkeypatch
):
    """The gradients of the second step are no numbers."""
    run, made = tmp_path / "run", []

    def broken(*arguments, step, **options):
        made.append(step)
        if step == 2:
            raise RunError("the loss became nan")
        return update(*arguments, step=step, **options)

    monkeypatch.setattr(loop, "update", broken)
    with pytest.raises(RunError, match="the loss became nan"):
        _train(run, small_book, chat_format)
    assert load_newest(run) is None
    *_, last = read_log(run / "log.jsonl")
    assert last == {"kind": "end", "step": 1, "finished": False, "error": "the loss became nan"}


def test_a_run_that_its_processes_cannot_share_leaves_no_folder(
    tmp_path, small_book, chat_format, monkeypatch
):
    monkeypatch.setattr(loop, "Processes", lambda precision: SimpleNamespace(rank=0, count=4))
    with pytest.raises(RunError, match="2 dialogues for 4 processes"):
        _train(tmp_path / "run", small_book, chat_format)
    assert not (tmp_path / "run").exists()


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"kind": "step", "step": 1}) + '\n{"kind": "st', encoding="utf-8")
    assert read_log(path) == [{"kind": "step", "step": 1}]


def test_a_line_may_be_cut_within_a_character_and_hold_other_separators(tmp_path):
    path = tmp_path / "log.jsonl"
    said = {"kind": "sample", "step": 1, "said": "狗\u2028und\x85Hund"}
    whole = json.dumps(said, ensure_ascii=False).encode() + b"\n"
    path.write_bytes(whole + whole[: whole.index("狗".encode()) + 2])
    assert read_log(path) == [said]
    RunLog(path).cut(step=1)
    assert read_log(path) == [said]


def test_the_learning_rate_rises_then_falls():
    stage = StageConfig(
        name="pretrain", steps=100, warmup_steps=10, learning_rate=1.0, final_rate=0.1
    )
    rates = [learning_rate(stage, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 200])
def test_a_short_run_reaches_its_rate_and_falls(steps):
    stage = StageConfig(name="pretrain", steps=steps, warmup_steps=200, learning_rate=1.0)
    rates = [learning_rate(stage, step) for step in range(steps + 1)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[steps] == pytest.approx(stage.final_rate)


def test_a_head_that_is_the_embedding_is_saved_and_put_back(tmp_path):
    config = presets.tiny(vocab_size=448)
    config = replace(config, decoder=replace(config.decoder, tie_word_embeddings=True))
    saved, other = (Supervised(Qwen2Audio(config), ctc_weight=1.0, seed=s) for s in (0, 1))
    path = save_state(
        tmp_path, 3, module=saved, optimizer=make_optimizer(saved, STAGE), extra={"stage": {}}
    )
    assert load_newest(tmp_path) is not None
    restore(path, module=other, optimizer=make_optimizer(other, STAGE))
    decoder = other.model.decoder
    assert decoder.lm_head.weight is decoder.embed_tokens.weight
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, saved.state_dict()[name]), name

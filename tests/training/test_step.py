"""One step is one gradient, however it is cut; and a stop between micro-batches leaves nothing behind."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from q2a_core import presets
from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio
from q2a_core.training import step_batches
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.loop import Hooks, train
from q2a_core.training.optimizer import describe, freeze, learning_rate, make_optimizer, set_rates
from q2a_core.training.processes import Processes
from q2a_core.training.runs.runlog import read_log
from q2a_core.training.runs.state import load_newest
from q2a_core.training.stages import PARTS, StageConfig, start, with_part_rates
from q2a_core.training.step import accumulate_gradients, update
from q2a_core.training.supervised import BY_TASK, Supervised
from q2a_core.world.corpus import Corpus
from q2a_core.world.prompts import TASKS

STAGE = StageConfig(
    name="pretrain", level="first", steps=5, batch_size=4, accumulate=2, warmup_steps=1, log_every=1
)


@pytest.fixture(autouse=True)
def few_clips_are_drawn(monkeypatch):
    """No test here looks at more than a few steps."""
    monkeypatch.setattr(step_batches, "MEGABATCH", 2)


def _objective(ctc_weight: float = 1.0) -> Supervised:
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(0))
    objective = Supervised(model, ctc_weight=ctc_weight, seed=0)
    freeze(model, STAGE)
    return objective


def _batches(book, chat_format, batch_size: int, accumulate: int) -> CorpusBatches:
    corpus = Corpus(book, "train", seed=0, level="first")
    return CorpusBatches(corpus, chat_format, batch_size=batch_size, accumulate=accumulate, seed=0)


def _gradient(objective: Supervised) -> torch.Tensor:
    moving = [p for p in objective.parameters() if p.requires_grad]
    return torch.cat([p.grad.flatten() for p in moving])


@pytest.mark.parametrize("megabatch", [0, 3])
def test_four_micro_batches_of_four_are_a_batch_of_sixteen(small_book, chat_format, megabatch):
    whole, cut = _objective(), _objective()
    one = _batches(small_book, chat_format, 16, 1)[megabatch][1]
    four = _batches(small_book, chat_format, 4, 4)[megabatch][1]
    assert [len(batch.input_ids) for batch in four] == [4, 4, 4, 4]
    tokens = [whole.counts(batch)["loss"] for batch in four]
    assert len(set(tokens)) > 1, "micro-batches with as many tokens would not tell the means apart"
    expected = accumulate_gradients(whole, one, processes=Processes())
    found = accumulate_gradients(cut, four, processes=Processes())
    assert found.counts == expected.counts
    assert found.means() == pytest.approx(expected.means(), rel=1e-5)
    difference = _gradient(whole) - _gradient(cut)
    # what fp32 leaves depends on processor and clips, 3e-7 to 3e-5 so far; the next test is the sharp one
    assert difference.norm() / _gradient(whole).norm() < 1e-4


def test_in_double_precision_the_two_gradients_are_one(small_book, chat_format, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    whole, cut = _objective().double(), _objective().double()
    one = _batches(small_book, chat_format, 16, 1)[0][0]
    four = _batches(small_book, chat_format, 4, 4)[0][0]
    for batch in (*one, *four):
        batch.mel = batch.mel.double()
    accumulate_gradients(whole, one, processes=Processes())
    accumulate_gradients(cut, four, processes=Processes())
    difference = _gradient(whole) - _gradient(cut)
    assert difference.norm() / _gradient(whole).norm() < 1e-12


def test_losses_are_means_over_tokens_and_over_clips_with_speech(small_book, chat_format):
    objective = _objective()
    batches = _batches(small_book, chat_format, 4, 4)[0][1]
    means = accumulate_gradients(objective, batches, processes=Processes())
    with torch.no_grad():
        sums = [objective(batch) for batch in batches]
    for name in ("loss", "spelling"):
        count = sum(objective.counts(batch)[name] for batch in batches)
        assert means[name] == pytest.approx(float(sum(s[name] for s in sums)) / count, rel=1e-5)
    tasks = {name for name, count in means.counts.items() if name.startswith(BY_TASK) and count}
    asked = torch.cat([batch.label_tasks[batch.labels != -100] for batch in batches]).unique()
    assert tasks == {BY_TASK + TASKS[place] for place in asked.tolist()}
    assert sum(means.sums[name] for name in tasks) == pytest.approx(means.sums["loss"], rel=1e-5)
    assert sum(means.counts[name] for name in tasks) == means.counts["loss"]
    assert means.tokens == sum(batch.input_ids.numel() for batch in batches)


def test_without_its_weight_spelling_is_neither_computed_nor_learnt(small_book, chat_format):
    objective = _objective(ctc_weight=0.0)
    before = copy.deepcopy(objective.spelling_head.state_dict())
    optimizer = make_optimizer(objective, STAGE)
    means = accumulate_gradients(
        objective, _batches(small_book, chat_format, 4, 1)[0][0], processes=Processes()
    )
    update(objective, optimizer, means, max_grad_norm=1.0, step=1)
    assert means["spelling"] == 0.0
    assert all(torch.equal(before[k], v) for k, v in objective.spelling_head.state_dict().items())


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(small_book, chat_format):
    objective = _objective()
    optimizer = make_optimizer(objective, STAGE)
    means = accumulate_gradients(
        objective, _batches(small_book, chat_format, 4, 1)[0][0], processes=Processes()
    )
    weight = objective.model.decoder.embed_tokens.weight
    before = weight.detach().clone()
    weight.grad[0, 0] = float("inf")
    with pytest.raises(RunError, match="its gradient inf at step 7; begin a new run with --start"):
        update(objective, optimizer, means, max_grad_norm=1.0, step=7)
    assert torch.equal(weight, before)


def test_a_micro_batch_without_a_clip_has_no_gradient_where_the_decoder_is_frozen(
    small_book, chat_format
):
    objective = _objective(ctc_weight=0.0)
    freeze(objective.model, replace(STAGE, trains=("audio_encoder",)))
    batch = _batches(small_book, chat_format, 2, 1)[0][0][0]
    ids = torch.where(batch.input_ids == chat_format.audio_token_id, 5, batch.input_ids)
    silent = replace(batch, mel=None, input_ids=ids)
    means = accumulate_gradients(objective, [silent], processes=Processes())
    assert means["loss"] > 0
    assert not _gradient(objective).any()
    update(objective, make_optimizer(objective, STAGE), means, max_grad_norm=1.0, step=1)


@pytest.mark.parametrize("asked", [2, 3, 4, 6])
def test_a_stop_between_micro_batches_discards_the_step(tmp_path, small_book, chat_format, asked):
    calls = 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls >= asked

    def go_on(run: Path, hooks: Hooks, resume: bool = False) -> Supervised:
        objective = _objective()
        batches = _batches(small_book, chat_format, STAGE.batch_size, STAGE.accumulate)
        hooks.workers = 0
        train(STAGE, run, objective=objective, batches=batches, hooks=hooks, resume=resume)
        return objective

    unbroken = go_on(tmp_path / "unbroken", Hooks())
    go_on(tmp_path / "run", Hooks(should_stop=should_stop))
    found = load_newest(tmp_path / "run")
    done = (asked - 1) // 3  # asked once before the first step, then twice in and once after each
    assert (found[1]["step"] if found else 0) == done
    assert calls == asked, "nothing asks again after a stop"
    resumed = go_on(tmp_path / "run", Hooks(), resume=True)
    for one, two in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    steps = [r["step"] for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "step"]
    assert steps == list(range(1, STAGE.steps + 1))


def test_a_finished_run_stays_finished(tmp_path, small_book, chat_format):
    stage = replace(STAGE, steps=2)
    for resume in (False, True):
        objective = _objective()
        batches = _batches(small_book, chat_format, 4, 2)
        hooks = Hooks(workers=0)
        train(
            stage,
            tmp_path / "run",
            objective=objective,
            batches=batches,
            hooks=hooks,
            resume=resume,
        )
    steps = [r["step"] for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "step"]
    assert steps == [1, 2]


def test_every_part_learns_at_its_own_rate():
    stage = replace(STAGE, rates={"audio_encoder": 0.1, "projector": 2.0})
    objective = _objective()
    optimizer = make_optimizer(objective, stage)
    set_rates(optimizer, learning_rate(stage, 0))
    rate_of = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    moving = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    assert len(rate_of) == len(moving)
    for name, parameter in moving.items():
        factor = 0.1 if "audio_encoder" in name else 2.0 if "projector" in name else 1.0
        assert rate_of[parameter] == pytest.approx(factor * stage.learning_rate)
    told = describe(stage, objective.model)
    assert "audio_encoder 0.09 M trains at 0.1 x the rate" in told
    assert "decoder 0.05 M trains (" in told


@pytest.mark.parametrize("rates", [{"ear": 1.0}, {"projector": 0.0}, {"projector": float("nan")}])
def test_rates_that_make_no_sense_are_refused(rates):
    with pytest.raises(RunError, match="expected a factor over 0 for one of the parts that train"):
        replace(STAGE, rates=rates)


def test_parts_are_slowed_hurried_and_frozen_one_by_one():
    stage = replace(STAGE, rates={"audio_encoder": 0.25})
    assert with_part_rates(stage, ["decoder=0", "projector=2"]).trains == (
        "audio_encoder",
        "projector",
    )
    assert with_part_rates(stage, ["decoder=0", "projector=2"]).rates == {
        "audio_encoder": 0.25,
        "projector": 2,
    }
    assert with_part_rates(stage, ["audio_encoder=1"]).rates == {}
    frozen = replace(STAGE, trains=("projector", "decoder"))
    assert with_part_rates(frozen, ["audio_encoder=.5"]).trains == PARTS, (
        "what was frozen moves again"
    )


@pytest.mark.parametrize(
    "given", ["ear=1", "decoder", "decoder=fast", "decoder=-1", "decoder=inf", ""]
)
def test_a_rate_that_is_none_is_refused(given):
    with pytest.raises(RunError, match="expected part=factor"):
        with_part_rates(STAGE, [given])


def test_a_part_has_one_rate():
    with pytest.raises(RunError, match="decoder is given two rates, 'decoder=1' last"):
        with_part_rates(STAGE, ["decoder=0", "decoder=1"])


def test_a_stage_in_which_nothing_moves_is_refused():
    with pytest.raises(RunError, match="expected some of"):
        with_part_rates(STAGE, [f"{part}=0" for part in PARTS])


def test_a_projector_that_nothing_goes_through_is_refused():
    assert with_part_rates(start(), ["projector=0", "decoder=0"]).trains == ("audio_encoder",)
    with pytest.raises(RunError, match="projector cannot train in the stage start"):
        with_part_rates(start(), ["projector=1"])


def test_a_config_from_before_the_new_fields_still_reads():
    old = STAGE.to_dict()
    for name in ("accumulate", "rates", "beta", "start", "level"):
        old.pop(name)
    stage = StageConfig.from_dict(json.loads(json.dumps(old)))
    assert (stage.accumulate, stage.rates, stage.trains) == (1, {}, PARTS)
    assert stage.level == "first"
    new = replace(STAGE, rates={"decoder": 0.5})
    assert StageConfig.from_dict(json.loads(json.dumps(new.to_dict()))) == new


WORKER = Path(__file__).with_name("two_processes.py")


def test_two_processes_equal_one(tmp_path, small_book, chat_format):
    """Under torchrun with gloo; the script itself asserts that it is one of two."""
    (tmp_path / "tokenizer.json").write_text(chat_format.tokenizer.to_json(), "utf-8")
    environment = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "RANK")}
    environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for processes in (1, 2):
        run = tmp_path / f"of{processes}"
        command = [sys.executable, str(WORKER), str(run), str(small_book.directory), str(processes)]
        if processes > 1:
            launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
            command = [sys.executable, *launcher, *command[1:]]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    from safetensors.torch import load_file

    one = load_file(load_newest(tmp_path / "of1")[0] / "weights.safetensors")
    two = load_file(load_newest(tmp_path / "of2")[0] / "weights.safetensors")
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    logs = [read_log(tmp_path / f"of{n}" / "log.jsonl") for n in (1, 2)]
    assert [log[0]["processes"] for log in logs] == [1, 2]
    for mine, other in zip(*logs, strict=True):
        assert mine["kind"] == other["kind"]
        if mine["kind"] == "step":
            # from the same weights, and then from those in which fp32 left its traces
            near = 1e-5 if mine["step"] == 1 else 5e-5
            assert mine["loss"] == pytest.approx(other["loss"], rel=near)
            assert mine["spelling"] == pytest.approx(other["spelling"], rel=near)


def test_processes_that_do_not_see_each_other_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="2 processes were launched but they do not see each other"):
        Processes()


def test_an_unknown_precision_is_refused():
    with pytest.raises(RunError, match="precision is fp16; expected one of no, bf16"):
        Processes("fp16")


def test_heads_go_on_from_an_earlier_run_or_say_that_they_do_not_fit():
    earlier, later = _objective(), _objective()
    with torch.no_grad():
        earlier.spelling_head.linear.weight.add_(1.0)
    later.put_heads(earlier.heads() | {"head_of_another_stage": torch.zeros(3)})
    assert torch.equal(later.spelling_head.linear.weight, earlier.spelling_head.linear.weight)
    with pytest.raises(RunError, match="training/"):
        later.put_heads({"spelling_head.linear.bias": torch.zeros(3)})

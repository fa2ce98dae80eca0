"""The one training loop: batch, loss, step, log, save; resumable at any saved step, bit for bit on a CPU."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.training.batches import Batch, Blocks, batches_from
from q2a_core.training.losses import SpellingHead, next_token_loss, spelling_loss
from q2a_core.training.runlog import RunLog
from q2a_core.training.stages import PARTS, StageConfig
from q2a_core.training.state import RunLock, load_newest, restore, save_state, tidy
from q2a_core.world.corpus import Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a face may show after a step."""

    step: int
    steps: int
    loss: float
    spelling: float
    clips_per_second: float
    seconds_left: float


@dataclass(kw_only=True)
class Hooks:
    """What the caller wants to hear of: each logged step, each sampling point, and whether to stop."""

    on_progress: Callable[[Progress], None] = lambda progress: None
    on_sample: Callable[[Qwen2Audio, int], list[dict[str, Any]]] = lambda model, step: []
    should_stop: Callable[[], bool] = lambda: False
    on_message: Callable[[str], None] = lambda message: None
    workers: int = 1
    records: list[dict[str, Any]] = field(default_factory=list)


class Trainee(nn.Module):
    """The model with its spelling head: what is optimised, and what a saved state holds."""

    def __init__(self, model: Qwen2Audio, *, seed: int):
        super().__init__()
        self.model = model
        generator = torch.Generator().manual_seed(seed)
        self.spelling_head = SpellingHead(model.config.encoder.d_model, generator)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Summed losses and their counts: next token, and spelling."""
        model = self.model
        audio_embeds, spelling = None, None
        if batch.mel is not None:
            encoder_frames = model.audio_encoder.encode_frames(batch.mel, batch.mel_lengths)
            audio_embeds = model.embed_frames(encoder_frames, batch.mel_lengths)
            spelling = spelling_loss(self.spelling_head(model, encoder_frames), batch)
        hidden_states = model.hidden_states(batch.input_ids, audio_embeds=audio_embeds)
        token_sum, tokens = next_token_loss(model, hidden_states, batch.labels)
        letter_sum, spoken = spelling or (token_sum.detach() * 0.0, tokens * 0)
        return {
            "token_sum": token_sum,
            "tokens": tokens,
            "letter_sum": letter_sum,
            "spoken": spoken,
        }


def train(
    stage: StageConfig,
    run: Path,
    *,
    model: Qwen2Audio,
    chat_format: ChatFormat,
    corpus: Corpus,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
) -> Qwen2Audio:
    """Train `model` in place as `stage` says, in the folder `run`, and return it.

    With `resume` the newest whole state in the folder is continued. Raises RunError if the folder is taken, holds
    another run, or the disk refuses.
    """
    from accelerate import Accelerator

    hooks = hooks or Hooks()
    with RunLock(run):
        accelerator = Accelerator(mixed_precision=precision)
        _check_folder(run, stage, resume)
        trainee = Trainee(model, seed=stage.seed).train()
        _freeze(trainee, stage)
        optimizer = _optimizer(trainee, stage)
        done = _resume(run, trainee, optimizer) if resume else 0
        log = RunLog(run / "log.jsonl")
        log.cut(done)
        prepared, optimizer = accelerator.prepare(trainee, optimizer)
        hooks.on_message(describe(stage, model))
        blocks = Blocks(corpus, chat_format, batch_size=stage.batch_size, seed=stage.seed)
        log.write(
            "run", step=done, stage=stage.to_dict(), book=corpus.book.hash, workers=hooks.workers
        )
        clock = _Clock(stage, done)
        for batch in batches_from(blocks, start=done, workers=hooks.workers):
            losses = _step(
                accelerator, prepared, optimizer, batch.to(accelerator.device), stage, done
            )
            done += 1
            clock.count(batch.input_ids.shape[0])
            last = done == stage.steps
            if done % stage.log_every == 0 or last:
                progress = clock.progress(done, losses)
                log.write(
                    "step", step=done, learning_rate=learning_rate(stage, done), **_record(progress)
                )
                hooks.on_progress(progress)
            if done % stage.sample_every == 0 or last:
                model.eval()
                for sample in hooks.on_sample(model, done):
                    log.write("sample", step=done, **sample)
                trainee.train()
            stopped = hooks.should_stop()
            if done % stage.save_every == 0 or last or stopped:
                save_state(
                    run, done, module=trainee, optimizer=optimizer, extra={"stage": stage.to_dict()}
                )
            if last or stopped:
                break
        log.write("end", step=done, finished=done == stage.steps)
    return model.eval()


def learning_rate(stage: StageConfig, step: int) -> float:
    """Rate of optimizer step `step` (0 is the first): linear warm-up, then a cosine down to `final_rate`."""
    if step < stage.warmup_steps:
        return stage.learning_rate * (step + 1) / stage.warmup_steps
    share = (step - stage.warmup_steps) / max(stage.steps - stage.warmup_steps, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return stage.learning_rate * (stage.final_rate + (1 - stage.final_rate) * cosine)


def describe(stage: StageConfig, model: Qwen2Audio) -> str:
    """Which parts move in this stage, with their sizes."""
    parts = []
    for part in PARTS:
        count = sum(p.numel() for p in getattr(model, part).parameters())
        parts.append(f"{part} {count / 1e6:.2f} M {'trains' if part in stage.trains else 'frozen'}")
    return f"{stage.name}: {', '.join(parts)} (our choice; the paper does not say)"


def _step(
    accelerator, trainee, optimizer, batch: Batch, stage: StageConfig, done: int
) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(stage, done)
    with accelerator.autocast():
        sums = trainee(batch)
    token_loss = sums["token_sum"] / sums["tokens"].clamp(min=1)
    spelling = sums["letter_sum"] / sums["spoken"].clamp(min=1)
    accelerator.backward(token_loss + stage.ctc_weight * spelling)
    accelerator.clip_grad_norm_(trainee.parameters(), stage.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss, letters = token_loss.item(), spelling.item()
    if not math.isfinite(loss):
        raise RunError(
            f"the loss became {loss} at step {done + 1}; lower the learning rate and resume"
        )
    return {"loss": loss, "spelling": letters}


def _optimizer(trainee: Trainee, stage: StageConfig) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, embeddings do not."""
    decayed, plain = [], []
    for name, parameter in trainee.named_parameters():
        if parameter.requires_grad:
            matrix = parameter.ndim >= 2 and "embed" not in name
            (decayed if matrix else plain).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": stage.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=stage.betas, fused=True)


def _freeze(trainee: Trainee, stage: StageConfig) -> None:
    for part in PARTS:
        for name, parameter in getattr(trainee.model, part).named_parameters():
            parameter.requires_grad_(part in stage.trains and "embed_positions" not in name)


def _check_folder(run: Path, stage: StageConfig, resume: bool) -> None:
    path = run / "config.json"
    if path.is_file():
        earlier = StageConfig.from_dict(json.loads(path.read_text("utf-8")))
        if not resume:
            raise RunError(
                f"{run.name} already holds a run; continue it with --resume or choose another folder"
            )
        if earlier != stage:
            raise RunError(
                f"{run.name} holds a run with other settings; resume it with the same ones"
            )
    path.write_text(json.dumps(stage.to_dict(), indent=2) + "\n", encoding="utf-8")


def _resume(run: Path, trainee: Trainee, optimizer: torch.optim.Optimizer) -> int:
    tidy(run)
    found = load_newest(run)
    if found is None:
        return 0
    path, record = found
    restore(path, module=trainee, optimizer=optimizer)
    return int(record["step"])


def _record(progress: Progress) -> dict[str, float]:
    return {
        "loss": round(progress.loss, 5),
        "spelling": round(progress.spelling, 5),
        "clips_per_second": round(progress.clips_per_second, 2),
    }


class _Clock:
    """Speed over the last steps, and the time that is left."""

    def __init__(self, stage: StageConfig, done: int):
        self.stage, self.first = stage, done
        self.marks: list[tuple[float, int]] = [(time.perf_counter(), 0)]

    def count(self, clips: int) -> None:
        self.marks.append((time.perf_counter(), self.marks[-1][1] + clips))
        self.marks = self.marks[-101:]

    def progress(self, step: int, losses: dict[str, float]) -> Progress:
        (then, before), (now, clips) = self.marks[0], self.marks[-1]
        steps_per_second = (len(self.marks) - 1) / max(now - then, 1e-9)
        return Progress(
            step=step,
            steps=self.stage.steps,
            loss=losses["loss"],
            spelling=losses["spelling"],
            clips_per_second=(clips - before) / max(now - then, 1e-9),
            seconds_left=(self.stage.steps - step) / steps_per_second,
        )

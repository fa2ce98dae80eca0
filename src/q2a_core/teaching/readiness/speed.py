"""How fast this machine is at what the lessons do, measured in a few seconds.

The training steps are those of a run at class budget: the same stage, the same data made in a process of its own, the
same loss and the same update. They begin from a shipped checkpoint and leave nothing behind but a cached handful of
spoken phrases.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.machine import machine as this_machine
from q2a_core.progress import OnProgress, unheard

STEPS = 20
"""Timed training steps."""
SPEED_DIALOGUES = 16
"""Dialogues in a step of the speed test, here and on the machine whose times ship."""
UTTERANCES = 40
"""Phrases spoken for them: too few to learn from, enough to compute with."""
CLIP_SECONDS, NEW_TOKENS, REPEATS = 8.0, 48, 3
OPEN = "from q2a_core import AudioChat; AudioChat.from_pretrained('mini')"


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Seconds for each thing; smaller is faster."""

    start: float
    """A fresh interpreter that opens `mini`, as every notebook does first."""
    mel: float
    """The log-mel of one clip of CLIP_SECONDS."""
    encode: float
    """That log-mel through the encoder and the projector."""
    decode: float
    """One new token of a reply."""
    train_step: float
    """One step at class budget, its data included."""

    def to_dict(self) -> dict[str, float]:
        """As JSON holds it."""
        return {name: round(value, 6) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> "Speed":
        """Read back what `to_dict` gave. Raises Q2AError for anything else."""
        names = [field.name for field in fields(cls)]
        if not isinstance(values, dict) or not all(_is_seconds(values.get(n)) for n in names):
            raise Q2AError(f"expected seconds over 0 for {', '.join(names)}, found {values!r}")
        return cls(**{name: float(values[name]) for name in names})


def measure_speed(*, on_progress: OnProgress = unheard) -> Speed:
    """Time all five; `on_progress` counts training steps. Raises Q2AError where the machine cannot do one of them."""
    mel, encode, decode = _time_listening()
    return Speed(
        start=_time_start(),
        mel=mel,
        encode=encode,
        decode=decode,
        train_step=time_training(on_progress=on_progress),
    )


def time_training(
    *,
    steps: int = STEPS,
    workers: int = 1,
    on_progress: OnProgress = unheard,
) -> float:
    """Mean seconds of a step of SFT at class budget; the first step, in which processes start, is not counted."""
    from q2a_core.checkpoint import open_checkpoint
    from q2a_core.training.batch_workers import steps_from
    from q2a_core.training.data import training_batches
    from q2a_core.training.optimizer import freeze, learning_rate, make_optimizer, set_rates
    from q2a_core.training.processes import Processes
    from q2a_core.training.runs.class_run import class_stage
    from q2a_core.training.stages import MICRO_BATCH
    from q2a_core.training.step import accumulate_gradients, update
    from q2a_core.training.supervised import Supervised
    from q2a_core.world.mini_tokenizer import mini_chat_format

    stage = class_stage("sft")
    stage = replace(
        stage,
        utterances=UTTERANCES,
        batch_size=MICRO_BATCH,
        accumulate=SPEED_DIALOGUES // MICRO_BATCH,
    )
    start = stage.start if stage.start in paths.shipped_checkpoints() else "mini"
    checkpoint = open_checkpoint(start)
    objective = Supervised(
        checkpoint.load_model(), ctc_weight=stage.ctc_weight, seed=0, connected=stage.connected
    )
    objective.put_heads(checkpoint.training_tensors())
    processes = Processes()
    objective.to(processes.device).train()
    freeze(objective.model, stage)
    optimizer = make_optimizer(objective, stage)
    batches, _ = training_batches(stage, mini_chat_format())
    made = steps_from(batches, start=0, workers=workers)
    began = 0.0
    for step in range(steps + 1):
        tally = accumulate_gradients(objective, next(made), processes=processes)
        assert tally is not None, "nothing asks this run to stop"
        set_rates(optimizer, learning_rate(stage, step))
        update(objective, optimizer, tally, max_grad_norm=stage.max_grad_norm, step=step + 1)
        if step == 0:
            began = time.perf_counter()
        on_progress(step, steps)
    return (time.perf_counter() - began) / steps


def _time_listening() -> tuple[float, float, float]:
    """Seconds for a log-mel, for encoding it, and for each further token of a reply."""
    import numpy as np
    import torch

    from q2a_core import lengths
    from q2a_core.audio.mel import log_mel, stack_mels
    from q2a_core.inference import AudioChat

    chat = AudioChat.from_pretrained("mini")
    count = round(CLIP_SECONDS * lengths.SAMPLE_RATE)
    samples = 0.1 * np.random.default_rng(0).standard_normal(count).astype(np.float32)
    mel = stack_mels([log_mel(samples)]).to(chat.model.audio_encoder.conv1.weight.device)
    frames = torch.tensor([lengths.mel_frames(count)], device=mel.device)

    def encode() -> None:
        with torch.inference_mode():
            encoded = chat.model.audio_encoder.encode_frames(mel, frames)
            chat.model.embed_frames(encoded, frames)

    def decode() -> float:
        reply = chat.fork().ask(
            samples,
            "What is this sound?",
            sample_rate=lengths.SAMPLE_RATE,
            min_new_tokens=NEW_TOKENS,
            max_new_tokens=NEW_TOKENS,
        )
        return 1 / reply.timings.tokens_per_second

    decode()  # what is compiled and allocated once is not the machine's pace
    return (
        _median_seconds(lambda: log_mel(samples)),
        _median_seconds(encode),
        statistics.median(decode() for _ in range(REPEATS)),
    )


def _time_start() -> float:
    """Seconds until a fresh interpreter has opened `mini`; the files are warm by then."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise Q2AError(f"a fresh Python cannot open mini: {last}")
    return time.perf_counter() - start


def _median_seconds(action: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine() -> dict[str, Any]:
    """What a timing was taken on, and how busy it is."""
    import torch

    about = this_machine(threads=torch.get_num_threads())
    names = ("system", "architecture", "cores", "threads", "python")
    return {
        **{name: about[name] for name in names},
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def is_busy(about: dict[str, Any]) -> bool:
    """Whether others were computing on a machine that `machine` described: its timings are too long then."""
    load = about.get("load")
    return load is not None and load > about["cores"]


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6

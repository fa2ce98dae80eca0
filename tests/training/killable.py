"""A tiny run that a test can kill: started in a fresh process by test_kills.py, which may name a point to die at."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from q2a_core import presets
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat, Tokenizer, user_message
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.training import loop
from q2a_core.training.loop import Hooks, train
from q2a_core.training.preference.dpo import Preference
from q2a_core.training.preference.pair_batches import PairBatches
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.training.runs import runlog, state
from q2a_core.training.stages import StageConfig

STAGE = StageConfig(
    name="dpo",
    level="first",
    steps=12,
    batch_size=2,
    accumulate=2,
    warmup_steps=2,
    save_every=2,
    log_every=1,
)

POINTS: dict[str, tuple[object, str, bool]] = {
    "before a file is on disk": (os, "fsync", False),
    "before a flush": (state, "flush", False),
    "after a flush": (state, "flush", True),
    "before a state is renamed": (state, "swap_in", False),
    "after a state is renamed": (state, "swap_in", True),
    "before an old state goes": (state, "_discard", False),
    "while an old state goes": (state.shutil, "rmtree", False),
    "while the optimizer is written": (state.torch, "save", True),
    "between the hash and the record": (state.json, "dumps", False),
    "mid-accumulation": (Preference, "forward", True),
    "before an update": (loop, "update", False),
    "after an update": (loop, "update", True),
    "before a log line": (runlog.RunLog, "write", False),
}
"""Where a run can be told to die: what is called, and whether before or after it does its work."""


def run_tiny(run: Path, tokenizer: Path, resume: bool, point: str | None, call: int) -> None:
    """Train to the end, or die with SIGKILL at call number `call` of a point."""
    torch.set_num_threads(1)
    if point is not None:
        owner, name, after = POINTS[point]
        setattr(owner, name, _deadly(getattr(owner, name), after, call))
    chat_format = ChatFormat(
        Tokenizer.from_json(tokenizer.read_bytes()), MINI_TEMPLATE, audio_token_id=3
    )
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    pairs = [
        PreferencePair(
            prompt=(user_message("What is this?", clips=1),),
            samples=rng.standard_normal(4000 + 700 * number).astype(np.float32) * 0.1,
            chosen="This is a dog.",
            rejected=f"A cat barks {number} times",
        )
        for number in range(9)
    ]
    batches = PairBatches(
        pairs,
        [(-20.0, -21.0)] * len(pairs),
        chat_format,
        batch_size=STAGE.batch_size,
        accumulate=STAGE.accumulate,
        seed=STAGE.seed,
    )
    objective = Preference(model, beta=0.1)
    train(STAGE, run, objective=objective, batches=batches, resume=resume, hooks=Hooks(workers=0))


def _deadly(function: Callable, after: bool, call: int) -> Callable:
    calls = 0

    def wrapped(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped

"""The one training loop: batch, loss, step, log, save; resumable at any saved step, bit for bit on a CPU."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError, RunError, in_words
from q2a_core.model import Qwen2Audio
from q2a_core.training.batch_workers import steps_from
from q2a_core.training.clock import Clock, Progress
from q2a_core.training.objective import Objective
from q2a_core.training.optimizer import (
    Optimizer,
    describe,
    freeze,
    learning_rate,
    make_optimizer,
    set_rates,
)
from q2a_core.training.origin import note_start
from q2a_core.training.processes import Processes
from q2a_core.training.runs.claim import check_folder, claim_folder
from q2a_core.training.runs.layout import LOG_FILE
from q2a_core.training.runs.presence import RunLock
from q2a_core.training.runs.runlog import RunLog, precision_of, read_log
from q2a_core.training.runs.state import load_newest, restore, save_state, tidy
from q2a_core.training.stages import StageConfig
from q2a_core.training.step import accumulate_gradients, update
from q2a_core.training.step_batches import StepBatches
from q2a_core.training.tally import Tally


@dataclass(kw_only=True)
class Hooks:
    """What the caller wants to hear of: the beginning, each logged step, each sampling point, and whether to stop."""

    on_begin: Callable[[], None] = lambda: None
    """The preparations are over: from here on `should_stop` is asked."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_sample: Callable[[Qwen2Audio, int], list[dict[str, Any]]] = lambda model, step: []
    should_stop: Callable[[], bool] = lambda: False
    on_message: Callable[[str], None] = lambda message: None
    workers: int = 1


def train(
    stage: StageConfig,
    run: Path,
    *,
    objective: Objective,
    batches: StepBatches,
    facts: dict[str, Any] | None = None,
    start: dict[str, Any] | None = None,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
) -> Qwen2Audio:
    """Train the objective's model in place as `stage` says, in the folder `run`, and return it.

    With `resume` the newest whole state in the folder is continued. `facts` stand in the log's first line, `start`
    tells of the checkpoint that the model comes from. Under torchrun every process calls this; the first one alone
    writes. A stop acts between micro-batches and discards the step that it cuts. Raises RunError if the folder is
    taken, holds no run to resume or another one, or the disk refuses; and whatever keeps a step's batches from being
    made, with the steps before it saved.
    """
    hooks = hooks or Hooks()
    processes = Processes(precision)
    batches.deal(processes.rank, processes.count)
    writes = processes.writes
    model = objective.model
    if writes:
        check_folder(run, stage, resume=resume)
    with RunLock(run) if writes else contextlib.nullcontext():
        if writes:
            claim_folder(run, stage, resume=resume)
            tidy(run)
        processes.wait()
        hooks.on_begin()
        objective.to(processes.device).train()
        freeze(model, stage)
        optimizer = make_optimizer(objective, stage, precision=processes.precision)
        done, tally = _resume(run, objective, optimizer) if resume else (0, Tally())
        _check_precision(run, done, processes.precision)
        log = RunLog(run / LOG_FILE, silent=not writes)
        if writes and done == 0:
            note_start(run, start)
            _keep_log(log, hooks)
        log.cut(done)
        about = {"stage": stage.to_dict(), "parts": describe(stage, model), **(facts or {})}
        log.write(
            "run",
            step=done,
            processes=processes.count,
            workers=hooks.workers,
            precision=processes.precision,
            **about,
        )
        if writes:
            hooks.on_message(describe(stage, model))
        clock = Clock(stage, done)
        saved = done

        def save() -> None:
            nonlocal saved
            if writes and saved < done:
                extra = {"stage": stage.to_dict(), "tally": tally.to_dict()}
                save_state(run, done, module=objective, optimizer=optimizer, extra=extra)
            saved = done

        stopped = processes.any(hooks.should_stop())
        made = steps_from(batches, start=done, workers=hooks.workers)
        # however it ends, the log tells, and the workers go at once
        with _told_in(log, lambda: done), contextlib.closing(made) as steps:
            while done < stage.steps and not stopped:
                try:
                    micro_batches = _next(steps, processes)
                except (Q2AError, OSError):
                    save()
                    processes.wait()
                    raise
                losses = accumulate_gradients(
                    objective, micro_batches, processes=processes, should_stop=hooks.should_stop
                )
                if losses is None:
                    break
                set_rates(optimizer, learning_rate(stage, done))
                update(
                    objective, optimizer, losses, max_grad_norm=stage.max_grad_norm, step=done + 1
                )
                done += 1
                tally.add(losses)
                clock.count(stage.step_size, losses.tokens)
                last = done == stage.steps
                if writes and (done % stage.log_every == 0 or last):
                    progress = clock.progress(done, tally.means())
                    log.write(
                        "step",
                        step=done,
                        learning_rate=learning_rate(stage, done - 1),
                        **progress.to_record(),
                    )
                    tally = Tally()
                    hooks.on_progress(progress)
                if writes and (done % stage.sample_every == 0 or last):
                    objective.eval()
                    for sample in hooks.on_sample(model, done):
                        log.write("sample", step=done, **sample)
                    objective.train()
                stopped = processes.any(hooks.should_stop())
                if done % stage.save_every == 0 or last:
                    save()
            save()
            # before the workers are waited for: who watches the log need not wait for them
            log.write("end", step=done, finished=done == stage.steps)
        processes.wait()
    return model.eval()


def _next(steps: Iterator[list[Any]], processes: Processes) -> list[Any]:
    """The micro-batches of the next step. What kept one process from having them is raised in all of them."""
    micro_batches, kept = [], None
    try:
        micro_batches = next(steps)
    except (Q2AError, OSError) as error:
        kept = error
    if processes.any(kept is not None):
        raise kept or RunError("another process has no batches; its own message says why")
    return micro_batches


@contextlib.contextmanager
def _told_in(log: RunLog, step: Callable[[], int]) -> Iterator[None]:
    """End the log with the error that ends the run."""
    try:
        yield
    except (Q2AError, OSError) as error:
        told = in_words(error) if isinstance(error, OSError) else str(error)
        with contextlib.suppress(OSError):  # it may be the full disk that ended the run
            log.write("end", step=step(), finished=False, error=told)
        raise


def _keep_log(log: RunLog, hooks: Hooks) -> None:
    """Steps that no saved state remembers are made again; what the log told of them stays to be read."""
    kept = log.keep()
    if kept is not None:
        hooks.on_message(
            f"{log.path.parent.name} has no whole saved state: it begins again at step 0, "
            f"and its log so far is kept as {kept.name}"
        )


def _resume(run: Path, objective: Objective, optimizer: Optimizer) -> tuple[int, Tally]:
    """The step of the newest whole state, put back, and the losses since the last line of its log."""
    found = load_newest(run)
    if found is None:
        return 0, Tally()
    path, record = found
    restore(path, module=objective, optimizer=optimizer)
    return int(record["step"]), Tally(**record.get("tally", {}))


def _check_precision(run: Path, done: int, precision: str) -> None:
    """Steps in another precision would not be those that the run began with."""
    before = precision_of(read_log(run / LOG_FILE)) if done else precision
    if before != precision:
        raise RunError(
            f"{run.name} was begun with --precision {before}, not {precision}; resume it with the same one"
        )

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
    if processes.writes:
        check_folder(run, stage, resume=resume)
    with RunLock(run) if processes.writes else contextlib.nullcontext():
        if processes.writes:
            claim_folder(run, stage, resume=resume)
            tidy(run)
        processes.wait()
        hooks.on_begin()
        training = _Training(stage, run, objective, processes, hooks, resume=resume)
        training.begin_log(facts or {}, start)
        training.take_steps(batches)
        processes.wait()
    return objective.model.eval()


class _Training:
    """One run on its way: what is trained, how many steps are done, and what of them is not yet logged or saved."""

    def __init__(
        self,
        stage: StageConfig,
        run: Path,
        objective: Objective,
        processes: Processes,
        hooks: Hooks,
        *,
        resume: bool,
    ):
        self.stage, self.run, self.objective = stage, run, objective
        self.processes, self.hooks = processes, hooks
        objective.to(processes.device).train()
        freeze(objective.model, stage)
        self.optimizer = make_optimizer(objective, stage, precision=processes.precision)
        self.done, self.tally = 0, Tally()
        if resume:
            self.done, self.tally = _resume(run, objective, self.optimizer)
        _check_precision(run, self.done, processes.precision)
        self.saved = self.done
        self.log = RunLog(run / LOG_FILE, silent=not processes.writes)
        self.clock = Clock(stage, self.done)

    def begin_log(self, facts: dict[str, Any], start: dict[str, Any] | None) -> None:
        """The log's line of what is run, with `facts`; `start` is kept where the run begins."""
        if self.processes.writes and self.done == 0:
            note_start(self.run, start)
            _keep_log(self.log, self.hooks)
        self.log.cut(self.done)
        parts = describe(self.stage, self.objective.model)
        self.log.write(
            "run",
            step=self.done,
            processes=self.processes.count,
            workers=self.hooks.workers,
            precision=self.processes.precision,
            **{"stage": self.stage.to_dict(), "parts": parts, **facts},
        )
        if self.processes.writes:
            self.hooks.on_message(parts)

    def take_steps(self, batches: StepBatches) -> None:
        """All steps that are left, or those up to a stop."""
        stage, processes, hooks = self.stage, self.processes, self.hooks
        stopped = processes.any(hooks.should_stop())
        made = steps_from(batches, start=self.done, workers=hooks.workers)
        # however it ends, the log tells, and the workers go at once
        with _told_in(self.log, lambda: self.done), contextlib.closing(made) as steps:
            while self.done < stage.steps and not stopped:
                try:
                    micro_batches = _next(steps, processes)
                except (Q2AError, OSError):
                    self._save()
                    processes.wait()
                    raise
                if not self._step(micro_batches):
                    break
                if self._is_due(stage.log_every):
                    self._log_step()
                if self._is_due(stage.sample_every):
                    self._log_samples()
                stopped = processes.any(hooks.should_stop())
                if self._is_due(stage.save_every):
                    self._save()
            self._save()
            # before the workers are waited for: who watches the log need not wait for them
            self.log.write("end", step=self.done, finished=self.done == stage.steps)

    def _step(self, micro_batches: list[Any]) -> bool:
        """One optimizer step; False, with everything as it was, if a stop cut it."""
        stage = self.stage
        losses = accumulate_gradients(
            self.objective,
            micro_batches,
            processes=self.processes,
            should_stop=self.hooks.should_stop,
        )
        if losses is None:
            return False
        set_rates(self.optimizer, learning_rate(stage, self.done))
        update(
            self.objective,
            self.optimizer,
            losses,
            max_grad_norm=stage.max_grad_norm,
            step=self.done + 1,
        )
        self.done += 1
        self.tally.add(losses)
        self.clock.count(stage.step_size, losses.tokens)
        return True

    def _is_due(self, every: int) -> bool:
        return self.done % every == 0 or self.done == self.stage.steps

    def _log_step(self) -> None:
        """The losses since the last such line, and how fast it goes."""
        if not self.processes.writes:
            return
        progress = self.clock.progress(self.done, self.tally.means())
        rate = learning_rate(self.stage, self.done - 1)
        self.log.write("step", step=self.done, learning_rate=rate, **progress.to_record())
        self.tally = Tally()
        self.hooks.on_progress(progress)

    def _log_samples(self) -> None:
        """What the caller has decoded meanwhile."""
        if not self.processes.writes:
            return
        self.objective.eval()
        for sample in self.hooks.on_sample(self.objective.model, self.done):
            self.log.write("sample", step=self.done, **sample)
        self.objective.train()

    def _save(self) -> None:
        """A whole state, unless there is one of this step."""
        if self.processes.writes and self.saved < self.done:
            extra = {"stage": self.stage.to_dict(), "tally": self.tally.to_dict()}
            save_state(
                self.run, self.done, module=self.objective, optimizer=self.optimizer, extra=extra
            )
        self.saved = self.done


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

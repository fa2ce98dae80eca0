"""What `q2a train` looks like from outside, without a model: STAGE ... --steps N --run RUN [--resume].

It holds the folder, writes settings, log and checkpoint where the real one does, and takes SIGINT as a wish to stop.
`test_background.py` runs the real one.
"""

import itertools
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from q2a_core.errors import RunError
from q2a_core.training.runs.presence import present
from q2a_core.training.runs.runlog import RunLog, read_log

STEP_SECONDS = float(os.environ.get("FAKE_STEP_SECONDS", "0.02"))


def main(options: list[str]) -> None:
    value = dict(itertools.pairwise(options))
    stage, run, steps = options[0], Path(value["--run"]), int(value["--steps"])
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    with present(run) as presence:
        presence.note("sampling")(3, 10)
        if value["--seed"] == "13":
            raise RunError("the loss became nan at step 1; begin a new run with --start")
        size = {"batch_size": int(value["--batch-size"]), "accumulate": int(value["--accumulate"])}
        config = {"name": stage, "steps": steps, "start": value.get("--start")} | size
        (run / "config.json").write_text(json.dumps(config), "utf-8")
        log = RunLog(run / "log.jsonl")
        done = read_log(log.path)[-1]["step"] if "--resume" in options else 0
        log.write("run", step=done, stage=config)
        while done < steps and not stopping:
            time.sleep(STEP_SECONDS)
            done += 1
            log.write("step", step=done, loss=2.0 / done, kl=0.01 * done, clips_per_second=50.0)
            if done % 10 == 0:
                log.write(
                    "sample", step=done, task="count", clip=1, said=f"{done}", true=f"{steps}"
                )
        log.write("end", step=done, finished=done == steps)
        start = Path(value.get("--start", ""))
        (run / "checkpoint").mkdir(exist_ok=True)
        if start.is_absolute():
            shutil.copytree(start, run / "checkpoint", dirs_exist_ok=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RunError as error:
        sys.exit(f"q2a: {error}")

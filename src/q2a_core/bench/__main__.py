"""`python -m q2a_core.bench`: the timings with torch, transformers, numpy, safetensors and tokenizers alone.

    python -m q2a_core.bench --json out.json --only decode,train

`q2a bench` is the same for people who have the whole project.
"""

import argparse
import json
import sys
from pathlib import Path

from q2a_core.bench.report import BESIDES, ROWS
from q2a_core.errors import Q2AError
from q2a_core.files import check_writable, write_whole


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 0, 2 after one line on standard error, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m q2a_core.bench",
        description="Time this implementation beside transformers, and its attention beside PyTorch's.",
    )
    parser.add_argument("--checkpoint", default="mini", help="shipped name, directory or hub id")
    parser.add_argument("--only", metavar="ROWS", help=f"some of {','.join((*ROWS, *BESIDES))}")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--threads", type=int, help="torch's threads; its own choice if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here as well")
    options = parser.parse_args(arguments)
    try:
        if options.json is not None:
            check_writable(options.json)
        from q2a_core.bench.everything import run_bench, to_markdown

        report = run_bench(
            checkpoint=options.checkpoint,
            repeats=options.repeats,
            threads=options.threads,
            only=None if options.only is None else options.only.split(","),
            on_progress=_show,
        )
        print(to_markdown(report))
        if options.json is not None:
            text = json.dumps(report, indent=1, ensure_ascii=False)
            write_whole(options.json, text + "\n")
    except (Q2AError, OSError) as error:
        print(f"q2a_core.bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nq2a_core.bench: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _show(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\rmeasuring: {done} of {total} runs", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

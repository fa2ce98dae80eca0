"""The real size on a GPU: random weights in the 7B's shape, beside transformers with the very same tensors.

Speed does not depend on what the weights are, so nothing is downloaded. Both sides are given a 3 s clip and the same
token ids; transformers decodes as it comes, and once more with its static cache, which it compiles. How near our
decoding is to what reading the weights takes at the least is told beside it.
"""

from typing import Any

import torch

from q2a_core import presets
from q2a_core.bench.large_sides import CLIP_SECONDS, Sides
from q2a_core.bench.report import Row, first_line, pipeline_line
from q2a_core.bench.timing import alternate
from q2a_core.config import ModelConfig
from q2a_core.errors import Q2AError
from q2a_core.machine import machine
from q2a_core.progress import OnProgress, unheard

NEW_TOKENS = 64
NEEDED_BYTES = 24_000_000_000
"""Weights once, 17 GB in bfloat16, and what replies, graphs and transformers' compiled cache take beside them."""
NEEDS = f"needs a CUDA device with about {NEEDED_BYTES / 1e9:.0f} GB of free memory"


def run_large(
    config: ModelConfig | None = None,
    *,
    device: str = "cuda",
    dtype: torch.dtype = torch.bfloat16,
    repeats: int = 5,
    new_tokens: int = NEW_TOKENS,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Time to first token, decoding and memory of `config`, the published 7B if not given; a JSON-ready report.

    Raises Q2AError if the device is not there, or if the two sides do not compute the same.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise Q2AError(f"the bench of the real size {NEEDS}; torch sees none here")
    sides = Sides(config or presets.qwen2_audio_7b(), torch.device(device), dtype, new_tokens)
    gate = sides.check()
    rows, left_out = [], {}
    total = 3 * (repeats + 1)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    first = alternate(
        lambda: next(sides.ours(1))[1],
        sides.their_first_token,
        rounds=repeats,
        tick=tick,
        settle=1,  # the second prompt of a length is captured, the third is what a service gives
    )
    what = f"the real size: first token, samples to one token, {CLIP_SECONDS:g} s clip"
    rows.append(
        Row(
            name="large_first_token",
            what=what,
            unit="s",
            ours=first[0],
            other=first[1],
            at_least=2.0,
        )
    )
    for name, cache in (("as it comes", None), ("static cache, compiled", "static")):
        try:
            rates = alternate(
                sides.our_rate,
                lambda cache=cache: sides.theirs(new_tokens, cache=cache).rate,
                rounds=repeats,
                tick=tick,
                settle=0,
            )
        except Exception as error:  # a compiler may be missing; what cannot run is named, not timed
            left_out[f"transformers, {name}"] = first_line(error)
            continue
        rows.append(
            Row(
                name=f"large_decode_{cache or 'eager'}",
                what=f"the real size: decoding, {new_tokens} new tokens",
                unit="tokens/s",
                ours=rates[0],
                other=rates[1],
                against=f"transformers, {name}",
                at_least=2.0,
            )
        )
    records = [row.to_dict() for row in rows]
    report = {
        "machine": machine(threads=torch.get_num_threads()) | {"device": sides.device_name},
        "dtype": str(dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in sides.model.parameters()),
        "gate": gate,
        "rows": records,
        "left_out": left_out,
        "memory": sides.memory(),
    }
    decoded = [row["ours"] for row in records if row["name"].startswith("large_decode")]
    if decoded:
        report["bandwidth"] = sides.bandwidth(max(decoded))
    return report


def run_where_it_fits(*, repeats: int = 5, on_progress: OnProgress = unheard) -> dict[str, Any]:
    """`run_large`, or `not_measured` with the reason where there is no GPU or its memory does not suffice."""
    if not torch.cuda.is_available():
        return {"not_measured": NEEDS}
    torch.cuda.empty_cache()  # what was measured before gave its memory back to torch alone
    free, _ = torch.cuda.mem_get_info()
    if free < NEEDED_BYTES:
        return {"not_measured": f"{NEEDS}; {free / 1e9:.1f} GB are free"}
    try:
        return run_large(repeats=repeats, on_progress=on_progress)
    except torch.OutOfMemoryError as error:
        return {"not_measured": f"{NEEDS}; it ran out of it: {first_line(error).rstrip('.')}"}


def to_markdown(report: dict[str, Any]) -> str:
    """The table of the real size."""
    host = report["machine"]
    lines = [
        f"The real size, {report['parameters'] / 1e9:.2f} billion random weights in {report['dtype']} on "
        f"{host['device']}; torch {host['torch']}, transformers {host['transformers']}, triton {host['triton']}",
        "",
        "| what | q2a | beside it | ratio (range) | bar |",
        "| --- | ---: | ---: | ---: | --- |",
        *(pipeline_line(row) for row in report["rows"]),
        "",
        f"Checked before timing: last logits within {report['gate']['logits']:.1e} (relative).",
    ]
    if "bandwidth" in report:
        found = report["bandwidth"]
        lines.append(
            f"Decoding reaches {found['share']:.0%} of the {found['limit_tokens_per_second']:.3g} tokens/s that "
            f"reading {found['bytes_per_token'] / 1e9:.3g} GB of weights at "
            f"{found['bytes_per_second'] / 1e9:.3g} GB/s allows (bar: 70%)."
        )
    if report["memory"]:
        found = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in report["memory"].items())
        lines.append(f"Peak memory of a reply beyond the weights: {found}.")
    lines += [f"Left out: {name} ({why})." for name, why in report["left_out"].items()]
    return "\n".join(lines)

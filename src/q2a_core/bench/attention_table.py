"""The bench of attention as text."""

import math
from typing import Any


def to_markdown(report: dict[str, Any]) -> str:
    """A table for each pass: one line a shape, everybody's time and speed, and what `auto` takes beside the best."""
    lines = [
        f"attention on {report['device']}, {report['dtype']}; matrix product "
        f"{report['matrix_peak_tflops']:.3g} TFLOP/s; `auto` is {report['auto']}; torch {report['machine']['torch']}, "
        f"triton {report['machine']['triton'] or 'not installed'}; medians, turn about"
    ]
    for part, title in (("forward", "forward"), ("forward_backward", "forward and backward")):
        lines += [
            "",
            f"| {title} | ms (TFLOP/s) | q2a {report['auto']} over PyTorch's fastest |",
            "| --- | --- | ---: |",
        ]
        for row in report["rows"]:
            figures = {name: values[part] for name, values in row["contenders"].items()}
            shown = "; ".join(
                f"{name} {f['seconds'] * 1e3:.3g} ({f['tflops']:.3g})"
                for name, f in figures.items()
            )
            others = [f["seconds"] for name, f in figures.items() if not name.startswith("q2a")]
            ratio = (
                min(others) / figures[f"q2a {report['auto']}"]["seconds"] if others else math.nan
            )
            lines.append(f"| {row['what']} | {shown} | {ratio:.2f} |")
    if report["maps"]:
        whole = report["maps"]["materialised"]
        shown = "; ".join(
            f"{name} {size / 1e6:.3g} MB ({size / whole:.1%})"
            for name, size in report["maps"].items()
        )
        lines += ["", f"Memory of the encoder's attention map, 20 heads, 1500 positions: {shown}."]
    return "\n".join(lines)

"""`q2a compare`: two reports of `q2a eval`, item by item."""

from pathlib import Path
from typing import Annotated

import typer

from q2a_core.cli.outputs import check_apart, check_writable, hand_over


def compare(
    first: Annotated[Path, typer.Argument(help="JSON report of one checkpoint.")],
    second: Annotated[Path, typer.Argument(help="JSON report of the other, with the same items.")],
    output: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Test in pairs what two checkpoints do with the same items of the mini Table 2 (McNemar's exact test).

    Example: q2a compare sft.json dpo.json
    """
    from q2a_core.evaluation.paired import compare as pairs_of
    from q2a_core.evaluation.paired import compare_table, read_report

    check_apart({"the first report": first, "the second report": second, "--output": output})
    if output is not None:
        check_writable(output)
    report = pairs_of(read_report(first), read_report(second))
    hand_over(report, compare_table(report), output, as_json)

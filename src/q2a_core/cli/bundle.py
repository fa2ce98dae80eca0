"""`q2a bundle`: an offline folder for a class."""

import json
from pathlib import Path
from typing import Annotated

import typer


def bundle(
    target: Annotated[Path, typer.Argument(help="A new folder, or an earlier bundle.")],
    packages: Annotated[
        bool,
        typer.Option(
            "--packages/--no-packages",
            help="With every package, or q2a alone for machines that have them.",
        ),
    ] = True,
    index: Annotated[
        str | None, typer.Option(help="Another package index to ask as well, such as torch's own.")
    ] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="Newest versions, not those that are installed here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make one folder that installs q2a without a network, for this system and this Python; at most 1 GB, no CUDA.

    Stopped or failed, the same command goes on where it was.

    Example: q2a bundle ~/q2a-bundle
    """
    from tqdm import tqdm

    from q2a_core.cli.progress import bar
    from q2a_core.teaching.bundle.build import make_bundle

    with bar("files", "file") as on_copy, tqdm(desc="packages", unit="", disable=None) as shown:

        def on_package(name: str) -> None:
            shown.set_postfix_str(name)
            shown.update()

        made = make_bundle(
            target,
            packages=packages,
            index=index,
            newest=newest,
            on_copy=on_copy,
            on_package=on_package,
        )
    if as_json:
        typer.echo(json.dumps(made.to_dict()))
        return
    typer.echo(
        f"{made.folder}: {made.size / 1e6:.0f} MB in {made.files} files, {made.wheels} wheels, "
        f"for Python {made.python} on {made.system}"
    )
    typer.echo("copy it to a machine and read its README.md; nothing there needs a network")

"""`q2a ask` and `q2a workbench`: the two doors to an answer."""

import json
from pathlib import Path
from typing import Annotated

import typer

from q2a_core.confidence import doubt
from q2a_core.errors import ChatError, TooLongError

NOT_LOCAL = (
    "note: browsers give the microphone only to pages that come over https or from their own machine; visitors of a "
    "plain http address can upload but not record"
)
NOT_BOUNDED = (
    "note: everybody who reaches this address can train and open checkpoints here; "
    "--demo bounds what strangers can do"
)


def ask(
    clip: Annotated[
        list[Path] | None, typer.Argument(help="Audio files, in the order of the turn.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="A question; without one the clip alone is voice chat.")
    ] = None,
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = "cpu",
    system: Annotated[
        str | None, typer.Option(help="System prompt; the template's own by default.")
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Cut clips beyond the window into several.")
    ] = False,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Decides sampling.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of text.")
    ] = False,
) -> None:
    """Ask about clips; the answer streams.

    Example: q2a ask data_samples/clips/keyboard_question.wav
    """
    if not clip and not (text and text.strip()):
        raise ChatError(
            "neither a clip nor text was given; name an audio file, pass --text, or both"
        )
    from q2a_core.inference import AudioChat

    chat = AudioChat.from_pretrained(model, device=device, system=system)
    try:
        pieces = chat.stream(
            audio=list(clip) if clip else None,
            text=text,
            split="window" if split else None,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
    except TooLongError as error:
        raise TooLongError(f"{error}: add --split") from error
    for piece in pieces:
        if not as_json:
            typer.echo(piece, nl=False)
    reply = chat.last_reply
    assert reply is not None
    if as_json:
        record = {
            "text": reply.text,
            "token_ids": reply.token_ids,
            "logps": reply.logps,
            "confidence": reply.confidence,
            "notices": list(reply.notices),
            "time_to_first_token": reply.timings.time_to_first_token,
            "tokens_per_second": reply.timings.tokens_per_second,
            "checkpoint": {"name": chat.checkpoint.name, "hash": chat.checkpoint.hash},
            "prompt": reply.prompt,
            "seed": seed,
        }
        typer.echo(json.dumps(record, ensure_ascii=False))
        return
    typer.echo()
    guess = doubt(reply.confidence) if reply.token_ids else ""
    for notice in [*reply.notices, *([guess] if guess else [])]:
        typer.echo(f"note: {notice}", err=True)


def workbench(
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="A public stand: no training, shipped checkpoints only, visitors and uploads bounded.",
        ),
    ] = False,
    origin: Annotated[
        str | None,
        typer.Option(help="Address that visitors type, where it is another: https://q2a.example"),
    ] = None,
) -> None:
    """Open the workbench: pick, upload or record a clip, see it, ask about it.

    Example: q2a workbench --demo --host 192.168.1.20 --no-browser
    """
    from q2a_core.teaching.launch import is_local, launch_workbench

    is_secure = bool(origin and origin.startswith("https:"))
    if not is_local(host) and not is_secure:
        typer.echo(NOT_LOCAL, err=True)
    if not demo and (origin or not is_local(host)):
        typer.echo(NOT_BOUNDED, err=True)
    code = launch_workbench(host=host, port=port, browser=browser, demo=demo, origin=origin)
    raise typer.Exit(code)

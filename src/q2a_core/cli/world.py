"""`q2a synth` and `q2a trace`: clips of the mini world with their truth, and recordings of what a model made of
them."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from q2a_core.cli.progress import bar
from q2a_core.errors import Q2AError


def synth(
    output: Annotated[
        Path | None, typer.Argument(help="Folder for the clips and manifest.jsonl.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many clips.")] = 12,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    kind: Annotated[str | None, typer.Option(help="Only scenes of one kind; see --list.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds, other clips.")] = 0,
    show: Annotated[
        bool, typer.Option("--list", help="What the world holds; writes nothing.")
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="The grown world's data card with its counts.")
    ] = False,
    level: Annotated[
        Literal["first", "grown"], typer.Option(help="World that the clips come from.")
    ] = "grown",
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over the manifest.jsonl that is there.")
    ] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="Rebuild the shipped clips instead.")
    ] = False,
) -> None:
    """Make clips with their truth: speech by eSpeak NG, procedural sounds, mixtures.

    Example: q2a synth my_clips --count 20 --kind question
    """
    from q2a_core.world.scene import SceneKind

    if show:
        typer.echo(_contents())
        return
    if card:
        from q2a_core.world.data_card import data_card

        typer.echo(data_card(), nl=False)
        return
    if output is None:
        raise Q2AError("no folder was given; name one for the clips, or use --list")
    if split not in ("train", "test"):
        raise Q2AError(f"split is {split!r}; expected train or test")
    if kind is not None and kind not in get_args(SceneKind):
        raise Q2AError(f"kind is {kind!r}; expected one of {', '.join(get_args(SceneKind))}")
    from q2a_core.world.manifest import MANIFEST, write_clips
    from q2a_core.world.samples import write_samples

    if (output / MANIFEST).is_file() and not (replace or samples):
        raise Q2AError(
            f"{output} already holds a {MANIFEST}; choose another folder, or write over it with --replace"
        )
    with bar("synthesising", "clips") as update:
        if samples:
            written = write_samples(output, on_progress=update)
        else:
            written = write_clips(
                output,
                split=split,
                count=count,
                seed=seed,
                kind=kind,
                level=level,
                on_progress=update,
            )
    typer.echo(f"{written} clips and manifest.jsonl in {output}")


def trace(
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the traces; without one they replace those that ship."),
    ] = None,
) -> None:
    """Record what the workbench shows before the model has loaded: one trace per shipped clip.

    The traces that ship are those of the best shipped checkpoint; any other needs --output.

    Example: q2a trace --model mini-pretrain --output my_traces
    """
    from q2a_core.inspection.gallery import read_gallery, record_gallery

    total = len(read_gallery())
    with bar("recording", "clips") as update:
        for done, path in enumerate(record_gallery(model, output), start=1):
            update(done, total)
            typer.echo(path.name)


def _contents() -> str:
    from q2a_core.world.manifest import KINDS
    from q2a_core.world.sounds import SOUND_CLASSES
    from q2a_core.world.sounds.music import TUNE_INSTRUMENTS
    from q2a_core.world.sounds.vocal_sounds import VOCAL_CLASSES
    from q2a_core.world.speech.lexicon import ENGLISH, GERMAN, MANDARIN
    from q2a_core.world.speech.voices import voices
    from q2a_core.world.speech.voices_grown import grown_voices

    lines = [f"kinds of the {level} world: {', '.join(kinds)}" for level, kinds in KINDS.items()]
    lines += [f"{family}: {', '.join(words)}" for family, words in ENGLISH.items()]
    for name, families in (("German", GERMAN), ("Mandarin", MANDARIN)):
        words = [entry[1] for entries in families.values() for entry in entries]
        lines.append(f"{name}: {', '.join(words)}")
    lines.append(f"sounds: {', '.join(sound.label for sound in SOUND_CLASSES)}")
    lines.append(f"vocal sounds: {', '.join(vocal.label for vocal in VOCAL_CLASSES)}")
    lines.append(f"instruments: {', '.join(TUNE_INSTRUMENTS)}")
    lines.append(f"voices: {len(voices('train'))} to train, {len(voices('test'))} to test")
    grown: list[int] = [
        sum(len(grown_voices(split, language)) for language in ("en", "de", "zh"))
        for split in ("train", "test")
    ]
    lines.append(f"voices of the grown world: {grown[0]} to train, {grown[1]} to test")
    return "\n".join(lines)

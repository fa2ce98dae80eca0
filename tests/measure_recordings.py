"""Measure the model on recordings of real people, animals and things: `python tests/measure_recordings.py FOLDER`.

The recordings are those of four Debian packages, whose licences are free, and of three collections on GitHub; none of
them is in this repository, and no training hears them, though formulas of sounds were widened after a look at some.
FOLDER is where they were unpacked:

    apt-get download asterisk-core-sounds-en-wav tuxpaint-stamps-default ktuberling-data sound-theme-freedesktop
    for package in *.deb; do dpkg-deb -x $package FOLDER; done
    git -C FOLDER clone https://github.com/Jakobovski/free-spoken-digit-dataset
    git -C FOLDER clone https://github.com/YashNita/Animal-Sound-Dataset
    git -C FOLDER clone https://github.com/karoldvl/ESC-10 && git -C FOLDER/ESC-10 checkout 553c8f1

Words are single ones of the model's vocabulary: numbers, weekdays, months and the spelling alphabet by one speaker over
a telephone, digits by others in three languages, and some nouns. Sounds are those whose class the world has. The
collections are told apart from these: digits by six men of whom some speak English as a second language, six animals,
and five sounds of home, street and yard.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from known_recordings import collections, recordings
from q2a_core import AudioChat
from q2a_core.evaluation.metrics import accuracy
from q2a_core.evaluation.recordings import score_recordings
from q2a_core.evaluation.tables import report_table
from q2a_core.inspection.scoring import score_replies


def among_their_words(chat: AudioChat, folder: Path, replies: list[dict]) -> dict[str, Any]:
    """How many English words are right if the reply must be one of those that the clips hold, the likeliest one.

    It parts two troubles: an ear that mishears, and a vocabulary in which there is always something nearer.
    """
    said = [row for row in replies if row["task"] == "transcribe" and row["language"] == "en"]
    words = sorted({row["true"] for row in said})
    tokenizer = chat.checkpoint.chat_format.tokenizer
    # with the stop token: else "eight" can never be less likely than "eighteen"
    given = [tokenizer.encode(f"{word}<|im_end|>") for word in words]
    hits = []
    for row in said:
        prompt = chat.prompt(folder / row["file"], row["prompt"])
        scores = score_replies(chat.model, [prompt] * len(words), given)
        hits.append(words[int(np.argmax([score.sum() for score in scores]))] == row["true"])
    return {"words": len(words), "score": asdict(accuracy(hits))}


def scores(chat: AudioChat, folder: Path, lines: list[dict[str, str]]) -> dict[str, Any]:
    """The report on these clips of `folder`."""
    with tempfile.TemporaryDirectory() as place:
        manifest = Path(place) / "manifest.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        return score_recordings(chat, folder, manifest)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the packages were unpacked")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--replies", action="store_true", help="print what was said to each clip")
    parser.add_argument("--output", type=Path, help="write the report here as JSON")
    options = parser.parse_args()
    lines = recordings(options.folder)
    if not lines:
        parser.error(f"{options.folder} holds none of the packages' recordings; unpack them there")
    chat = AudioChat.from_pretrained(options.model)
    report = scores(chat, options.folder, lines)
    report["collections"] = {
        name: scores(chat, options.folder, collection)
        for name, collection in collections(options.folder).items()
    }
    report["among"] = among_their_words(chat, options.folder, report["replies"])
    if options.replies:
        for row in report["replies"]:
            print(f"{Path(row['file']).stem}: {row['true']} | {row['reply']}")
    print(report_table(report, beside={}))
    among = report["among"]
    print(
        f"of the {among['words']} English words of these clips the likeliest is right in", end=" "
    )
    print("{value:.1%} ({low:.1%} to {high:.1%}, n {n})".format(**among["score"]))
    for name, part in report["collections"].items():
        print(f"\n{name}\n{report_table(part, beside={})}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

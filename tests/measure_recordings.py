"""Measure the model on recordings of real people, animals and things: `python tests/measure_recordings.py FOLDER`.

The recordings are those of four Debian packages, whose licences are free; none of them is in this repository, and no
training hears them, though formulas of sounds were widened after a look at theirs. FOLDER is where they were unpacked:

    apt-get download asterisk-core-sounds-en-wav tuxpaint-stamps-default ktuberling-data sound-theme-freedesktop
    for package in *.deb; do dpkg-deb -x $package FOLDER; done

Words are single ones of the model's vocabulary: numbers, weekdays, months and the spelling alphabet by one speaker over
a telephone, digits by others in three languages, and some nouns. Sounds are those whose class the world has.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import AudioChat
from q2a_core.evaluation.metrics import accuracy
from q2a_core.evaluation.recordings import score_recordings
from q2a_core.evaluation.tables import report_table
from q2a_core.inspection.scoring import score_replies

UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
ALPHABET = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"),
    *("kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango"),
    *("uniform", "victor", "whiskey", "yankee", "zulu"),
)
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
MANDARIN = "零一二三四五六七八九"
NOUNS = {
    "egypt_birds": "birds",
    "egypt_boy": "boy",
    "egypt_camel": "camel",
    "egypt_donkey": "donkey",
    "egypt_girl": "girl",
    "egypt_man": "man",
    "egypt_woman": "woman",
    "moon_hotel": "hotel",
    "tv_car": "car",
    "tv_train": "train",
}
SOUNDS = {
    "amphibians/frog": "frog",
    "birds/crow": "crow",
    "birds/duck": "duck",
    "birds/drake": "duck",
    "birds/owl": "owl",
    "birds/rooster": "rooster",
    "birds/lark": "bird",
    "birds/blackbird": "bird",
    "mammals/bovines/cow": "cow",
    "mammals/bovines/cow_white": "cow",
    "mammals/bovines/bull": "cow",
    "mammals/bovines/sheep": "sheep",
    "mammals/bovines/sheep_lamb": "sheep",
    "mammals/bovines/ram": "sheep",
    "mammals/dogs/dog": "dog",
    "mammals/equines/horse": "horse",
}


def recordings(root: Path) -> list[dict[str, str]]:
    """The lines of the manifest, with files relative to `root`; packages that are not there are left out."""
    speaker = "usr/share/asterisk/sounds/en_US_f_Allison"
    said = {str(number): word for number, word in enumerate(UNITS)}
    said |= {str(30 + 10 * place): word for place, word in enumerate(TENS)}
    said |= {word: word for word in ("hundred", "thousand", "million", "today", "tomorrow")}
    said |= {f"day-{place}": word for place, word in enumerate(WEEKDAYS)}
    said |= {f"mon-{place}": word for place, word in enumerate(MONTHS)}
    words = [(f"{speaker}/digits/{name}.wav", word, "en") for name, word in said.items()]
    words += [(f"{speaker}/phonetic/{word[0]}_p.wav", word, "en") for word in ALPHABET]
    stamps = "usr/share/tuxpaint/stamps"
    for digit in range(10):
        words += [
            (f"{stamps}/symbols/math/{digit}.ogg", UNITS[digit], "en"),
            (f"{stamps}/symbols/math/{digit}_en_GB.ogg", UNITS[digit], "en"),
            (f"{stamps}/symbols/math/{digit}_de.ogg", GERMAN[digit], "de"),
            (f"{stamps}/symbols/math/{digit}_zh_tw.ogg", MANDARIN[digit], "zh"),
        ]
    words += [(f"usr/share/ktuberling/sounds/en/{n}.ogg", word, "en") for n, word in NOUNS.items()]
    sounds = [(f"{stamps}/animals/{name}.ogg", label) for name, label in SOUNDS.items()]
    sounds += [
        (f"{stamps}/naturalforces/lightningbolt.ogg", "thunder"),
        (f"{stamps}/seasonal/halloween/blackcat.ogg", "cat"),
        (f"{stamps}/vehicles/emergency/firetruck.ogg", "siren"),
        ("usr/share/sounds/freedesktop/stereo/alarm-clock-elapsed.oga", "alarm"),
        ("usr/share/sounds/freedesktop/stereo/phone-incoming-call.oga", "phone"),
    ]
    lines = [
        {"file": file, "task": "transcribe", "text": text, "language": language}
        for file, text, language in words
    ]
    lines += [{"file": file, "task": "sound", "label": label} for file, label in sounds]
    return [line for line in lines if (root / line["file"]).is_file()]


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
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        chat = AudioChat.from_pretrained(options.model)
        report = score_recordings(chat, options.folder, manifest)
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
    if options.output:
        options.output.write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Recordings of real people, animals and things that are known by name: where they are, and what is heard in them.

Four Debian packages, and three collections on GitHub. None of it is in this repository, and no training hears it.
"""

from pathlib import Path

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


COLLECTIONS = {
    "spoken digits": "free-spoken-digit-dataset",
    "animals": "Animal-Sound-Dataset",
    "environment": "ESC-10",
}
"""What is measured, and the repository it comes from: Jakobovski's (CC BY-SA 4.0), YashNita's (which names no licence),
and karoldvl's (CC BY 3.0; K. J. Piczak 2015), whose sounds lie in commit 553c8f1."""
DIGIT_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
ANIMALS = {
    "cow": ("Inek",),
    "cat": ("Kedi-Part1", "Kedi-Part2"),
    "dog": ("Kopek-Part1", "Kopek-Part2"),
    "sheep": ("Koyun",),
    "frog": ("Kurbaga",),
    "bird": ("Kus-Part1", "Kus-Part2"),
}
ENVIRONMENT = {
    "001 - Dog bark": ("sound", "dog"),
    "002 - Rain": ("sound", "rain"),
    "005 - Clock tick": ("sound", "clock"),
    "006 - Person sneeze": ("vocal", "sneeze"),
    "009 - Rooster": ("sound", "rooster"),
}
MOST_OF_A_KIND = 40
"""Of the larger folders as many clips at equal distances."""


def collections(root: Path) -> dict[str, list[dict[str, str]]]:
    """The lines of a manifest for each collection that lies in `root`, with files relative to it.

    Of every digit the first three recordings of each speaker, which belong to the collection's own test part; of the
    animals and the environment every second file: what the formulas were widened after are the others.
    """
    folder = f"{COLLECTIONS['spoken digits']}/recordings"
    digits = [
        {"file": f"{folder}/{digit}_{speaker}_{take}.wav", "text": UNITS[digit]}
        for speaker in DIGIT_SPEAKERS
        for digit in range(10)
        for take in range(3)
    ]
    digits = [line | {"task": "transcribe", "language": "en"} for line in digits]
    animals = []
    for label, folders in ANIMALS.items():
        places = [root / COLLECTIONS["animals"] / folder for folder in folders]
        files = sorted(file for place in places for file in place.glob("*.wav"))[1::2]
        step = max(1.0, len(files) / MOST_OF_A_KIND)
        chosen = [files[int(place * step)] for place in range(min(len(files), MOST_OF_A_KIND))]
        for file in chosen:
            name = str(file.relative_to(root))
            animals.append({"file": name, "task": "sound", "label": label})
    environment = [
        {"file": str(file.relative_to(root)), "task": task, "label": label}
        for folder, (task, label) in ENVIRONMENT.items()
        for file in sorted((root / COLLECTIONS["environment"] / folder).glob("*.ogg"))[1::2]
    ]
    every = {"spoken digits": digits, "animals": animals, "environment": environment}
    found = {
        name: [line for line in lines if (root / line["file"]).is_file()]
        for name, lines in every.items()
    }
    return {name: lines for name, lines in found.items() if lines}

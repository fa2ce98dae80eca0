"""What two transcripts are made equal in before errors are counted, as Qwen2-Audio's official scripts do it.

    <|...|> tags off -> English: Whisper's English normaliser, then its basic one
                        Chinese: no spaces, symbols or punctuation, whole numbers read out as characters
                        others:  Whisper's basic normaliser; where no spaces are written, none are left

Both Whisper normalisers come with transformers. Its list of 1,739 British spellings does not (it lies in Whisper's
checkpoints), so `SPELLINGS` holds the everyday ones with the same targets. The Chinese half knows no dates, fractions
or units, which the official one also reads out, and Cantonese keeps the characters that it is written in, which the
official scripts make simplified ones. Whisper's basic normaliser takes combining marks for punctuation: in Thai, Lao,
Khmer and Burmese, which write vowels and tones with them and are in no official test set, they stay.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

_TAG = re.compile(r"<\|[^|<>]*\|>")
_NO_SOUND = "MSPZC"
"""First letters of Unicode categories that are no letter and no digit."""

SPELLINGS: dict[str, str] = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    aeroplane:airplane aeroplanes:airplanes ageing:aging aluminium:aluminum analyse:analyze apologise:apologize
    axe:ax behaviour:behavior cancelled:canceled catalogue:catalog centimetre:centimeter centimetres:centimeters
    centre:center centres:centers cheque:check cheques:checks colour:color coloured:colored colourful:colorful
    colours:colors cosy:cozy defence:defense dialogue:dialog disc:disk discs:disks draught:draft favour:favor
    favourite:favorite favourites:favorites fibre:fiber flavour:flavor flavours:flavors grey:gray harbour:harbor
    honour:honor humour:humor jewellery:jewelry kilometre:kilometer kilometres:kilometers labour:labor licence:license
    litre:liter litres:liters metre:meter metres:meters millimetre:millimeter mould:mold moustache:mustache
    neighbour:neighbor neighbours:neighbors offence:offense organise:organize plough:plow practise:practice
    programme:program programmes:programs pyjamas:pajamas realise:realize recognise:recognize rumour:rumor
    storey:story sulphur:sulfur theatre:theater theatres:theaters traveller:traveler travelled:traveled
    travelling:traveling tyre:tire tyres:tires vapour:vapor woollen:woolen yoghurt:yogurt
    """,
    )
)
"""British to American, with the targets of Whisper's list."""

WITHOUT_SPACES = ("zh", "yue", "ja", "th", "lo", "km", "my")
"""Languages whose words are written without spaces between them: what counts there are characters."""
VOWELS_ARE_MARKS = ("th", "lo", "km", "my")
"""Those of them whose vowels and tones are combining marks."""

NAMES = {
    "en": "Whisper English, then basic",
    "zh": "characters without spaces and punctuation, whole numbers read out",
    "yue": "Whisper basic without spaces, characters as they are written",
    "ja": "Whisper basic without spaces",
    **dict.fromkeys(VOWELS_ARE_MARKS, "characters without spaces and punctuation"),
}
BASIC_NAME = "Whisper basic"


def normaliser_name(language: str) -> str:
    """What a report calls the normaliser of a language."""
    return NAMES.get(language, BASIC_NAME)


@lru_cache(maxsize=10_000)  # the same labels are looked for in every reply
def normalise_for(text: str, language: str) -> str:
    """The text as errors are counted on it; `language` is a code such as en, de or zh."""
    text = " ".join(_TAG.sub("", text).split())
    if language == "zh":
        return _chinese(text)
    if language in VOWELS_ARE_MARKS:
        return _without(_NO_SOUND.replace("M", ""), unicodedata.normalize("NFKC", text).lower())
    if language == "en":
        text = _whisper("en")(text)
    space = "" if language in WITHOUT_SPACES else " "
    return space.join(_whisper("basic")(text).split())


@cache
def _whisper(kind: str) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import (
        BasicTextNormalizer,
        EnglishTextNormalizer,
    )

    return EnglishTextNormalizer(SPELLINGS) if kind == "en" else BasicTextNormalizer()


def _chinese(text: str) -> str:
    text = re.sub(r"(?<=\d),(?=\d{3})", "", unicodedata.normalize("NFKC", text).lower())
    text = re.sub(r"\d+", lambda number: chinese_number(number[0]), text)
    return _without(_NO_SOUND, text)


def _without(categories: str, text: str) -> str:
    return "".join(letter for letter in text if unicodedata.category(letter)[0] not in categories)


def chinese_number(digits: str) -> str:
    """Digits as they are read: 105 is 一百零五; a leading zero or over eight digits are read one by one."""
    names = "零一二三四五六七八九"
    if len(digits) > 8 or (digits[0] == "0" and len(digits) > 1):
        return "".join(names[int(digit)] for digit in digits)
    number = int(digits)
    if number >= 10_000:
        high, low = divmod(number, 10_000)
        gap = "零" if 0 < low < 1000 else ""
        rest = (chinese_number(str(low)) if low >= 20 else _below_20(low)) if low else ""
        return f"{chinese_number(str(high))}万{gap}{rest}"
    if number < 20:
        return names[number] if number < 10 else "十" + (names[number - 10] if number > 10 else "")
    spoken, gap = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            spoken += ("零" if gap else "") + names[digit] + name
        gap = bool(spoken) and not digit
    return spoken


def _below_20(number: int) -> str:
    """Inside a longer number ten is 一十."""
    spoken = chinese_number(str(number))
    return f"一{spoken}" if spoken.startswith("十") else spoken

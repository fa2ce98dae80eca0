"""The normalisers against Whisper's own on what people write, and Chinese numbers against cases read out by hand."""

import pytest
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

from q2a_core.evaluation.normalisers import (
    SPELLINGS,
    WITHOUT_SPACES,
    chinese_number,
    normalise_for,
    normaliser_name,
)

SENTENCES = [
    "Seven, red cups.",
    "It's twenty-one o'clock, isn't it?",
    "He'll pay $5.50 (five dollars fifty) by May the third!",
    "Mr Smith won't go",
    "[noise] a hundred and two dogs",
    "one thousand, two thousand",
    "",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_english_is_whispers_english_and_then_basic(sentence):
    english = EnglishTextNormalizer(SPELLINGS)(sentence)
    assert normalise_for(sentence, "en") == " ".join(BasicTextNormalizer()(english).split())


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("seven", "7"),
        ("twenty one", "21"),
        ("The GREY cat!", "the gray cat"),
        ("<|en|>it's a dog", "it is a dog"),
        ("Favourite  colours", "favorite colors"),
    ],
)
def test_english_wordings_that_count_as_one(text, same):
    assert normalise_for(text, "en") == normalise_for(same, "en")


def test_german_keeps_its_letters_and_loses_case_and_punctuation():
    assert normalise_for("<|de|> Die Tür, ist GRÜN!", "de") == "die tür ist grün"
    assert normalise_for("Straße", "de") == "straße"


def test_chinese_loses_spaces_and_punctuation_and_reads_numbers_out():
    assert normalise_for("<|zh|> 你好, 我有 12 只猫!", "zh") == "你好我有十二只猫"
    assert normalise_for("１０５。", "zh") == "一百零五"
    assert normalise_for("1,000 只", "zh") == "一千只"


@pytest.mark.parametrize("language", ["yue", "ja"])
@pytest.mark.parametrize("text", ["你好，世界。", "こんにちは、元気 ですか？", "「ｶﾞｷﾞ」（笑） ABC"])
def test_the_other_languages_without_spaces_are_whispers_basic_without_them(language, text):
    assert normalise_for(text, language) == "".join(BasicTextNormalizer()(text).split())


def test_vowels_that_are_marks_stay():
    assert normalise_for("<|th|> ที่นี่ (ดี)!", "th") == "ที่นี่ดี"
    assert normalise_for("ខ្ញុំ\u200bនៅ។", "km") == "ខ្ញុំនៅ"
    assert normalise_for("ma ma", "my") == "mama"


@pytest.mark.parametrize(
    ("digits", "spoken"),
    {
        "0": "零",
        "2": "二",
        "10": "十",
        "19": "十九",
        "20": "二十",
        "101": "一百零一",
        "110": "一百一十",
        "1001": "一千零一",
        "2026": "二千零二十六",
        "10000": "一万",
        "10015": "一万零一十五",
        "12345": "一万二千三百四十五",
        "1000000": "一百万",
        "007": "零零七",
        "123456789": "一二三四五六七八九",
    }.items(),
)
def test_chinese_numbers(digits, spoken):
    assert chinese_number(digits) == spoken


def test_every_normaliser_has_a_name():
    assert len({normaliser_name(code) for code in ("en", "zh", "de")}) == 3
    assert normaliser_name("fr") == normaliser_name("de")
    assert all("without spaces" in normaliser_name(code) for code in WITHOUT_SPACES)

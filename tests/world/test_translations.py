"""Parallel sentences: right German endings, right measure words, one text for one meaning."""

import collections

import numpy as np
import pytest

from q2a_core.world.speech import translations as t
from q2a_core.world.speech.lexicon import GERMAN, GERMAN_PLURALS, english_words


@pytest.fixture(scope="module")
def triples():
    rng = np.random.default_rng(0)
    return [t.sample_triple(rng, single_share=0.2) for _ in range(8000)]


@pytest.mark.parametrize(
    ("noun", "quality", "nominative", "accusative"),
    [
        ("table", "red", "ein roter Tisch", "einen roten Tisch"),
        ("cup", "big", "eine große Tasse", "eine große Tasse"),
        ("book", "new", "ein neues Buch", "ein neues Buch"),
        ("lion", "quiet", "ein leiser Löwe", "einen leisen Löwen"),
        ("bear", "", "ein Bär", "einen Bären"),
        ("key", "pink", "ein rosa Schlüssel", "einen rosa Schlüssel"),
    ],
)
def test_german_with_ein(noun, quality, nominative, accusative):
    assert t.german_a(noun, quality=quality) == nominative
    assert t.german_a(noun, quality=quality, accusative=True) == accusative


@pytest.mark.parametrize(
    ("noun", "quality", "nominative", "accusative"),
    [
        ("table", "red", "der rote Tisch", "den roten Tisch"),
        ("cup", "big", "die große Tasse", "die große Tasse"),
        ("window", "small", "das kleine Fenster", "das kleine Fenster"),
        ("lion", "", "der Löwe", "den Löwen"),
    ],
)
def test_german_with_the(noun, quality, nominative, accusative):
    assert t.german_the(noun, quality=quality) == nominative
    assert t.german_the(noun, quality=quality, accusative=True) == accusative


@pytest.mark.parametrize(
    ("number", "english", "german", "mandarin"),
    [
        (2, "two", "zwei", "二"),
        (12, "twelve", "zwölf", "十二"),
        (16, "sixteen", "sechzehn", "十六"),
        (21, "twenty one", "einundzwanzig", "二十一"),
        (30, "thirty", "dreißig", "三十"),
        (77, "seventy seven", "siebenundsiebzig", "七十七"),
        (100, "one hundred", "einhundert", "一百"),
    ],
)
def test_numbers(number, english, german, mandarin):
    assert t.english_number(number) == english
    assert t.german_number(number) == german
    assert t.mandarin_number(number) == mandarin


@pytest.mark.parametrize(
    ("number", "noun", "quality", "german", "mandarin"),
    [
        (2, "dog", "", "zwei Hunde", "两只狗"),
        (3, "cup", "red", "drei rote Tassen", "三个红色的杯子"),
        (5, "book", "new", "fünf neue Bücher", "五本新书"),
        (12, "horse", "big", "zwölf große Pferde", "十二匹大马"),
        (1, "fish", "", None, "一条鱼"),
    ],
)
def test_several_of_something(number, noun, quality, german, mandarin):
    assert t.mandarin_several(number, noun, quality) == mandarin
    if german:
        assert t.german_several(number, noun, quality) == german


@pytest.mark.parametrize(
    ("maker", "en", "de", "zh"),
    [
        (t.statement, "the dog is big", "der Hund ist groß", "狗很大"),
        (t.statement, "the cup is red", "die Tasse ist rot", "杯子是红色的"),
        (t.statement, "the window is not big", "das Fenster ist nicht groß", "窗户不大"),
        (t.statement, "is the cat black", "ist die Katze schwarz", "猫是黑色的吗"),
        (t.action, "the dog sleeps", "der Hund schläft", "狗在睡觉"),
        (t.action, "the dog barks", "der Hund bellt", "狗在叫"),
        (t.command, "please open the door", "bitte öffne die Tür", "请打开门"),
        (t.existence, "there is a dog", "da ist ein Hund", "有一只狗"),
        (t.existence, "where is the key", "wo ist der Schlüssel", "钥匙在哪里"),
    ],
)
def test_examples_are_drawn_just_so(maker, en, de, zh):
    rng = np.random.default_rng(1)
    assert t.Triple(en, de, zh) in (maker(rng) for _ in range(20_000))


def test_objects_are_in_the_accusative():
    rng = np.random.default_rng(2)
    drawn = [t.action(rng) for _ in range(4000)]
    one = [triple for triple in drawn if " a " in triple.en or " an " in triple.en]
    assert len(one) > 1000
    for triple in one:
        german = triple.de.split()
        assert not {"ein", "eine", "einen"}.isdisjoint(german)
        if "ein" in german:
            # only a neuter noun is "ein" as an object
            assert ("das", german[-1]) in {(mark, word) for word, mark in t.DE.values()}


def test_one_text_in_any_language_has_one_meaning(triples):
    for name in ("de", "zh"):
        meanings = collections.defaultdict(set)
        for triple in triples:
            meanings[getattr(triple, name)].add(triple.en)
        assert {text: en for text, en in meanings.items() if len(en) > 1} == {}


def test_written_forms(triples):
    nouns = {word for rows in GERMAN.values() for _, word, mark in rows if mark}
    forms = nouns | set(GERMAN_PLURALS.values()) | {"Löwen", "Bären"}
    for triple in triples:
        assert triple.en == triple.en.lower()
        assert "  " not in triple.en + triple.de
        assert all("\u4e00" <= sign <= "\u9fff" for sign in triple.zh)
        assert {word for word in triple.de.split() if word[0].isupper()} <= forms
        assert len(triple.en.split()) <= 9


def test_every_gloss_is_an_english_word_and_every_noun_has_a_plural(triples):
    assert set(t.DE) == set(t.ZH)
    assert set(t.NOUNS) <= set(english_words())
    assert {t.DE[noun][0] for noun in t.NOUNS} == set(GERMAN_PLURALS)
    assert {triple.en for triple in triples} >= set(t.COLOURS)

"""The words: enough of them, none twice, translations that line up."""

import re

import pytest

from q2a_core.world.speech import lexicon

# groups that sound alike in most accents: at most one of each may be in the world
HOMOPHONES = (
    *("two to too", "four for", "one won", "eight ate", "red read", "hear here", "new knew"),
    *("blue blew", "bear bare", "horse hoarse", "which witch", "week weak", "deer dear", "no know"),
    *("right write", "flower flour", "tea tee", "bee be", "whale wail", "break brake", "son sun"),
    *("male mail", "see sea", "by buy bye", "their there", "hour our", "key quay", "piece peace"),
)


def test_english_has_the_words_it_needs():
    words = lexicon.english_words()
    assert len(words) >= 250
    assert len(lexicon.ENGLISH["animals"] + lexicon.ENGLISH["more_animals"]) >= 25
    assert len(lexicon.ENGLISH["household"] + lexicon.ENGLISH["more_household"]) >= 25
    assert len(lexicon.ENGLISH["weekdays"]) == 7
    assert len(lexicon.ENGLISH["months"]) == 12
    # november is a month and a spelling word, and stands with the months
    letters = {word[0] for word in lexicon.ENGLISH["spelling"]} | {"n"}
    assert len(letters) == 26


def test_every_word_is_in_normal_form_and_in_one_family():
    words = lexicon.english_words()
    assert len(set(words)) == len(words)
    assert [word for word in words if not re.fullmatch("[a-z]+", word)] == []


@pytest.mark.parametrize("group", HOMOPHONES)
def test_no_two_words_sound_alike(group):
    assert len(set(group.split()) & set(lexicon.english_words())) <= 1


def test_first_world_is_a_small_part():
    words = lexicon.first_world_words()
    assert 75 <= len(words) <= 90
    assert set(lexicon.FIRST_WORLD_FAMILIES) < set(lexicon.ENGLISH)
    assert {"dog", "cat", "cow", "sheep", "horse", "duck", "bird"} <= set(words)


@pytest.mark.parametrize("table", [lexicon.GERMAN, lexicon.MANDARIN], ids=["german", "mandarin"])
def test_translations_have_an_english_word_each(table):
    entries = [entry for family in table.values() for entry in family]
    glosses = [gloss for gloss, _, _ in entries]
    assert len(entries) >= 80
    assert set(glosses) <= set(lexicon.english_words())
    assert len(set(glosses)) == len(glosses)
    assert len({word for _, word, _ in entries}) == len(entries)


def test_both_languages_translate_the_same_words():
    def glosses(table):
        return {gloss for family in table.values() for gloss, _, _ in family}

    assert glosses(lexicon.GERMAN) == glosses(lexicon.MANDARIN)


def test_german_nouns_have_capital_and_article_and_mandarin_ones_a_measure_word():
    for family in lexicon.GERMAN.values():
        for _, word, article in family:
            assert word[0].isupper() == bool(article)
            assert article in ("", "der", "die", "das")
    for name in ("animals", "household", "people"):
        assert all(measure for _, _, measure in lexicon.MANDARIN[name])
    for family in lexicon.MANDARIN.values():
        assert all("\u4e00" <= sign <= "\u9fff" for _, word, _ in family for sign in word)

"""Labels found in free replies."""

import pytest

from q2a_core.evaluation.keywords import contains, named_labels, names_only

SOUNDS = ("car", "car horn", "dog", "glass")


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("This is the sound of a dog.", {"dog"}),
        ("I hear a CAR HORN!", {"car horn"}),
        ("A car horn and a car.", {"car", "car horn"}),
        ("A cargo ship", set()),
        ("dog, car horn, glass", {"dog", "car horn", "glass"}),
        ("", set()),
    ],
)
def test_the_labels_that_a_reply_names(reply, named):
    assert named_labels(reply, SOUNDS) == named


def test_naming_everything_names_nothing():
    assert names_only("a dog", "dog", SOUNDS)
    assert not names_only("a dog and a glass", "dog", SOUNDS)
    assert not names_only("a glass", "dog", SOUNDS)


def test_other_words_for_a_label_count_and_are_no_rivals():
    rivals = ("anger", "angry", "sad")
    assert names_only("The speaker sounds angry.", "anger", rivals)
    assert names_only("Anger.", "angry", rivals)
    assert not names_only("Sadness.", "angry", rivals)
    assert names_only("a keyboard", "typing", ("rain",), synonyms={"typing": ("keyboard",)})


@pytest.mark.parametrize("language", ["zh", "yue", "ja", "th", "lo", "km", "my"])
def test_where_no_spaces_are_written_words_are_runs_of_characters(language):
    assert contains("これは犬の声です。", "犬", language)
    assert contains("你好世界！", "你好，世界", language)
    assert not contains("これは犬の声です。", "猫", language)
    assert named_labels("これは犬の声です", ("犬", "猫"), language=language) == {"犬"}


def test_whole_words_and_chinese_characters():
    assert contains("You said: twenty-one.", "21")
    assert not contains("category", "cat")
    assert contains("这是狗的声音。", "狗", "zh")
    assert not contains("anything", "...")
    assert named_labels("这是狗的声音", ("狗", "猫"), language="zh") == {"狗"}

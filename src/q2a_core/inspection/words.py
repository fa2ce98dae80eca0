"""A reply's tokens in words: what a reader points at when asking where a word comes from."""

from collections.abc import Sequence
from dataclasses import dataclass

from q2a_core.text import Tokenizer

END = "(end)"
"""Shown for the token that ends a reply."""
FIRST_IDEOGRAPH = "\u2e80"
"""From here on a character is a word: Chinese and Japanese leave no spaces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A run of reply tokens."""

    text: str
    first: int
    """Its first token in the reply."""
    stop: int
    """One past its last token."""


def group_words(
    tokenizer: Tokenizer, ids: Sequence[int], stop_ids: Sequence[int] = ()
) -> list[Word]:
    """Tokens grouped at spaces, ideographs one by one; a character whose bytes are spread over tokens stays whole."""
    words: list[Word] = []
    first = 0
    for place, token in enumerate(ids):
        text = tokenizer.decode(ids[first : place + 1], skip_special=False)
        if token in stop_ids:
            words.append(Word(text=END, first=place, stop=place + 1))
            first = place + 1
        elif text.endswith("\ufffd") and place + 1 < len(ids) and ids[place + 1] not in stop_ids:
            continue  # half a character
        else:
            words.append(Word(text=text, first=first, stop=place + 1))
            first = place + 1
    joined: list[Word] = []
    for word in words:
        if joined and not _begins(word.text, joined[-1].text):
            last = joined.pop()
            word = Word(text=last.text + word.text, first=last.first, stop=word.stop)
        joined.append(word)
    return [
        Word(text=word.text.strip() or "␣", first=word.first, stop=word.stop) for word in joined
    ]


def _begins(text: str, before: str) -> bool:
    """Whether `text` begins a new word after `before`."""
    if END in (text, before) or text[:1].isspace() or before[-1:].isspace():
        return True
    return text[:1] >= FIRST_IDEOGRAPH or before[-1:] >= FIRST_IDEOGRAPH

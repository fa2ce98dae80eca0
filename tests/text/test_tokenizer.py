"""Text to ids and back, special tokens, and a stream of pieces that adds up to the whole."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend
from tokenizers.processors import TemplateProcessing

from q2a_core.errors import CheckpointError
from q2a_core.text import StreamDecoder, Tokenizer
from q2a_core.text.special_tokens import SPECIAL_TOKENS
from q2a_core.text.tokenizer_training import train_tokenizer

LINES = [
    "What is this sound? This is the sound of a keyboard.",
    "这是狗的声音。 Die Katze ist rot, 3 Hunde bellen.",
]


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    """Few merges, so that one character is often several tokens."""
    return train_tokenizer(LINES, vocab_size=300)


def stream(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoder = StreamDecoder(tokenizer)
    return [*(decoder.push(token) for token in ids), decoder.finish()]


@given(st.text())
def test_any_text_comes_back(small, text):
    """Byte-level: nothing is unknown. Qwen2 composes characters first, so the composed form comes back."""
    ids = small.encode(text)
    assert small.decode(ids, skip_special=False) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "声音",
        "狗的声音！",
        "🐶🎉👨‍👩‍👧",
        "Größe, naïve",
        "مرحبا",
        "\n\n  x\t",
        "3.14159",
        "it's WE'LL",
    ],
)
def test_text_of_many_scripts(small, text):
    assert small.decode(small.encode(text)) == unicodedata.normalize("NFC", text)


def test_special_tokens_have_the_first_ids_and_are_found_inside_text(small):
    for index, token in enumerate(SPECIAL_TOKENS):
        assert small.token_id(token) == index
        assert small.encode(f"a{token}b")[1] == index
        assert small.piece(index) == token
    ids = small.encode("<|im_start|>user\n<|AUDIO|><|AUDIO|><|im_end|>")
    assert ids.count(3) == 2
    assert small.decode(ids) == "user\n"
    assert small.decode(ids, skip_special=False).endswith("<|AUDIO|><|AUDIO|><|im_end|>")


def test_digits_are_single_and_words_keep_their_space(small):
    assert len(small.encode("2024")) == 4
    assert "".join(map(small.piece, small.encode(" sound of"))) == " sound of"


def test_training_is_repeatable():
    first, second = (train_tokenizer(LINES, vocab_size=320).to_json() for _ in range(2))
    assert first == second
    assert len(Tokenizer.from_json(first.encode())) <= 320


def test_unknown_names_and_ids(small):
    assert small.token_id("<|nothing|>") is None
    assert (
        small.decode([10**6, *small.encode("dog")]) == "dog"
    )  # models have more entries than names


def test_a_file_from_elsewhere_may_ask_for_padding_and_gets_none(small):
    backend = Backend.from_str(small.to_json())
    backend.enable_padding(length=50)
    backend.enable_truncation(max_length=2)
    other = Tokenizer.from_json(backend.to_str().encode())
    assert other.encode("What is this sound?") == small.encode("What is this sound?")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_streamed_pieces_are_the_whole_text(small, text):
    ids = small.encode(text)
    pieces = stream(small, ids)
    assert "".join(pieces) == small.decode(ids)


@given(st.lists(st.integers(0, 299), max_size=80))
def test_streamed_pieces_of_any_ids_are_the_whole_text(small, ids):
    """A model may emit bytes that are no text at all; the pieces still add up."""
    assert "".join(stream(small, ids)) == small.decode(ids)


@pytest.mark.parametrize("before", range(0, 40, 3))
def test_no_half_character_is_ever_shown(small, before):
    """Wherever in a long reply a character of four bytes falls."""
    text = "dog " * before + "🐶🎉声音" * 6
    pieces = stream(small, small.encode(text))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_text_streams_as_it_comes(small):
    """Nothing is held back but the bytes of a character that is not complete."""
    ids = small.encode("This is the sound of a keyboard.")
    pieces = stream(small, ids)
    assert pieces[:-1] == [small.piece(token) for token in ids]
    assert pieces[-1] == ""
    dog = small.encode("🐶")
    assert stream(small, dog) == [*[""] * (len(dog) - 1), "🐶", ""]
    assert "".join(stream(small, dog[:-1])) == small.decode(dog[:-1])


def test_decoding_costs_the_same_at_every_step(small, monkeypatch):
    """The stream decodes a short tail again, not the whole reply."""
    longest = 0
    decode = Tokenizer.decode

    def counting(self, ids, **options):
        nonlocal longest
        longest = max(longest, len(ids))
        return decode(self, ids, **options)

    monkeypatch.setattr(Tokenizer, "decode", counting)
    stream(small, small.encode("dog barks " * 100))
    assert longest <= 32


BROKEN = {
    "empty": b"",
    "no json": b"{",
    "a list": b"[]",
    "another object": b'{"model": "none"}',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "an unknown model": json.dumps({"version": "1.0", "model": {"type": "Oracle"}}).encode(),
    "merges that do not fit": json.dumps(
        {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}
    ).encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_sentence(name, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(BROKEN[name])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        Tokenizer.from_directory(tmp_path)


def test_a_directory_without_a_tokenizer(tmp_path):
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json; expected one, or vocab\.json"):
        Tokenizer.from_directory(tmp_path)


def slow_files(directory, tokenizer: Tokenizer) -> None:
    """The older layout: vocab.json, merges.txt and the special tokens in tokenizer_config.json."""
    values = json.loads(tokenizer.to_json())
    (directory / "vocab.json").write_text(json.dumps(values["model"]["vocab"]), "utf-8")
    merges = [
        pair if isinstance(pair, str) else " ".join(pair) for pair in values["model"]["merges"]
    ]
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    decoder = {
        str(entry["id"]): {key: value for key, value in entry.items() if key != "id"}
        for entry in values["added_tokens"]
    }
    config = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": decoder}
    (directory / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")


def test_the_older_layout_with_vocab_and_merges(small, tmp_path):
    slow_files(tmp_path, small)
    opened = Tokenizer.from_directory(tmp_path)
    text = "<|im_start|>user\nAudio 1: <|AUDIO|> What is this 声音?<|im_end|>"
    assert opened.encode(text) == small.encode(text)


def test_a_damaged_older_layout_is_one_sentence(small, tmp_path):
    slow_files(tmp_path, small)
    (tmp_path / "vocab.json").write_text('{"a": ', "utf-8")
    with pytest.raises(CheckpointError, match=r"vocab\.json"):
        Tokenizer.from_directory(tmp_path)


def test_nothing_is_put_around_a_piece_of_a_dialogue(tokenizer):
    """Not even by a file that puts a token behind every text."""
    backend = Backend.from_str(tokenizer.to_json())
    end = backend.token_to_id("<|endoftext|>")
    backend.post_processor = TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
    )
    assert backend.encode("dog").ids[-1] == end
    assert Tokenizer(backend).encode("dog") == tokenizer.encode("dog")


def test_special_tokens_are_those_that_decoding_leaves_out(tokenizer):
    backend = Backend.from_str(tokenizer.to_json())
    backend.add_tokens([AddedToken("plainword", special=False)])
    ours = Tokenizer(backend)
    assert ours.special_tokens == tokenizer.special_tokens
    assert ours.decode(ours.encode("plainword<|im_end|>")) == "plainword"

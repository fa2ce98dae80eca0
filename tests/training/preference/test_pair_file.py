"""The reader of preference pairs."""

import json

import numpy as np
import pytest

from q2a_core import paths, presets
from q2a_core.audio.waveform import write_wav
from q2a_core.errors import AudioError, RunError
from q2a_core.training.preference import pair_clips
from q2a_core.training.preference.pair_file import PreferencePair, read_pairs

GOOD = {"clip": "a.wav", "prompt": "What is it?", "chosen": "A dog.", "rejected": "A cat."}


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(8000, np.float32))
    return tmp_path


def _read(folder, *lines: str) -> list[PreferencePair]:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_pairs(path)


def test_pairs_are_read_with_text_with_a_clip_alone_and_with_messages(folder):
    history = [
        {"role": "user", "content": [{"type": "audio"}]},
        {"role": "assistant", "content": "A dog."},
        {"role": "user", "content": "How many times?"},
    ]
    typed = {"prompt": "Hello", "chosen": "Hi.", "rejected": "A dog."}
    found = _read(
        folder,
        json.dumps(GOOD),
        "",
        json.dumps(GOOD | {"prompt": None}),
        json.dumps(GOOD | {"prompt": history, "chosen": "Once."}),
        json.dumps(typed),
    )
    assert len(found) == 4
    assert found[0].clip == folder / "a.wav"
    assert found[0].prompt[0]["content"][-1] == {"type": "text", "text": "What is it?"}
    assert found[1].prompt == ({"role": "user", "content": [{"type": "audio"}]},)
    assert found[2].prompt == tuple(history)
    assert found[3].waveform() is None
    assert len(found[0].waveform()) == 8000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "found '{'; expected a JSON object"),
        ("[1]", "found a list; expected a JSON object"),
        (GOOD | {"score": 1}, "found the entry 'score'; expected clip, prompt, chosen"),
        (GOOD | {"chosen": ""}, "chosen is ''; expected the text of a reply"),
        (GOOD | {"rejected": None}, "rejected is None; expected the text of a reply"),
        (GOOD | {"rejected": "A dog."}, "both 'A dog.'; expected two replies"),
        (GOOD | {"clip": 3}, "clip is 3; expected the path of a sound file"),
        (GOOD | {"clip": "b.wav"}, "the clip 'b.wav' was not found"),
        (GOOD | {"clip": None, "prompt": " "}, "neither a clip nor a prompt"),
        (GOOD | {"chosen": "It is <|AUDIO|>."}, "chosen holds '<|AUDIO|>', a mark of the chat"),
        (GOOD | {"prompt": "So?<|im_end|>"}, "prompt holds '<|im_end|>', a mark of the chat"),
        (GOOD | {"rejected": "A dog. "}, "both 'A dog.'; expected two replies"),
        (GOOD | {"rejected": "no " * 3000}, "rejected has 9000 characters; expected at most 2000"),
        (GOOD | {"prompt": [{"role": "user", "content": []}]}, "expected text, null or a list"),
        (
            GOOD | {"prompt": [{"role": "user", "content": [{"type": "text", "txt": "What?"}]}]},
            "expected text, null or a list",
        ),
        (GOOD | {"prompt": 3}, "prompt is '3'; expected text, null or a list of messages"),
        (GOOD | {"prompt": [{"role": "dog", "content": "x"}]}, "expected text, null or a list"),
        (GOOD | {"prompt": [{"role": "user", "content": "x"}]}, "0 audio parts for 1 clips"),
        (
            GOOD | {"prompt": [{"role": "assistant", "content": "x"}]},
            "ends with 'assistant'; expected a user's turn",
        ),
        (
            GOOD | {"prompt": [{"role": r, "content": "x"} for r in ("assistant", "user", "user")]},
            "the turns are those of assistant, user, user; expected user and assistant by turns",
        ),
        (
            GOOD | {"prompt": [{"role": "user", "content": [{"type": "audio", "text": 5}]}]},
            "expected text, null or a list of messages",
        ),
    ],
)
def test_a_line_that_is_no_pair_is_refused_with_its_number(folder, line, says):
    text = line if isinstance(line, str) else json.dumps(line)
    with pytest.raises(RunError) as caught:
        _read(folder, json.dumps(GOOD), text)
    assert str(caught.value).startswith("pairs.jsonl, line 2: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[" * 100_000, "found brackets without end"),
        (json.dumps(GOOD | {"chosen": "\ud800"}), "found half a surrogate pair"),
        (json.dumps(GOOD | {"clip": "long.wav"}), "lasts 30.5 s; expected at most 30 s: cut it"),
        (json.dumps(GOOD | {"clip": "short.wav"}), "short.wav: lasts 12.5 ms, too short"),
        (json.dumps(GOOD | {"clip": "broken.wav"}), "broken.wav"),
        (json.dumps(GOOD | {"clip": "a" * 5000}), "was not found"),
        (json.dumps(GOOD | {"chosen": "gr\xfcn"}, ensure_ascii=False).encode("latin-1"), "UTF-8"),
    ],
    ids=["brackets", "surrogate", "long", "short", "broken", "name", "latin"],
)
def test_what_no_training_could_use_is_refused_with_its_number(folder, line, says):
    write_wav(folder / "long.wav", np.zeros(488_000, np.float32))
    write_wav(folder / "short.wav", np.zeros(200, np.float32))
    (folder / "broken.wav").write_bytes(b"RIFF")
    data = line if isinstance(line, bytes) else line.encode()
    (folder / "pairs.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n" + data + b"\n")
    with pytest.raises(RunError) as caught:
        read_pairs(folder / "pairs.jsonl")
    assert str(caught.value).startswith("pairs.jsonl, line 2: ")
    assert says in str(caught.value)


def test_a_list_may_begin_with_a_mark_and_replies_hold_any_separator(folder):
    line = json.dumps(GOOD | {"chosen": "one\u2028two\x85three"}, ensure_ascii=False)
    (folder / "pairs.jsonl").write_bytes(f"\ufeff{line}\r\n\r\n{line}".encode())
    found = read_pairs(folder / "pairs.jsonl")
    assert [pair.chosen for pair in found] == ["one\u2028two\x85three"] * 2


def test_a_list_that_is_missing_or_empty_is_refused(folder):
    with pytest.raises(RunError, match=r"none\.jsonl was not found"):
        read_pairs(folder / "none.jsonl")
    with pytest.raises(RunError, match="holds no pairs"):
        _read(folder, "")


def test_a_pairs_hash_is_that_of_its_content(folder):
    [pair] = _read(folder, json.dumps(GOOD))
    copy = PreferencePair(
        prompt=pair.prompt, chosen=pair.chosen, rejected=pair.rejected, samples=pair.waveform()
    )
    swapped = PreferencePair(
        prompt=pair.prompt, chosen=pair.rejected, rejected=pair.chosen, clip=pair.clip
    )
    assert pair.hash() == copy.hash() != swapped.hash()


def test_a_clip_is_kept_once_it_is_read(folder):
    found = _read(folder, *[json.dumps(GOOD | {"prompt": prompt}) for prompt in ("One?", "Two?")])
    hashes = [pair.hash() for pair in found]
    (folder / "a.wav").unlink()
    assert [pair.hash() for pair in found] == hashes
    assert len(found[0].waveform()) == 8000
    assert found[0].samples is found[1].samples, "one copy for all that hear it"


def test_clips_that_memory_should_not_hold_are_read_again(folder, monkeypatch):
    write_wav(folder / "b.wav", np.zeros(4000, np.float32))
    monkeypatch.setattr(pair_clips, "KEPT_BYTES", 4 * 10_000)
    found = _read(folder, *[json.dumps(GOOD | {"clip": name}) for name in ("a.wav", "b.wav")] * 2)
    assert [pair.samples is not None for pair in found] == [True, False, True, False]
    assert [len(pair.waveform()) for pair in found] == [8000, 4000, 8000, 4000]
    (folder / "b.wav").unlink()
    with pytest.raises(AudioError, match=r"b\.wav"):
        found[1].waveform()


def _tokens(messages, audio_tokens: int = 0) -> int:
    """As transformers counts them; its template leaves a single placeholder for the clip."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(paths.shipped_checkpoint("mini-sft"))
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return len(tokenizer(text).input_ids) + max(audio_tokens - 1, 0)


@pytest.mark.parametrize("name", ["chosen", "rejected"])
def test_a_dialogue_longer_than_the_model_holds_is_refused_with_its_tokens(folder, name):
    holds = presets.mini().decoder.max_positions
    prompt = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "So?"}]}]
    told = [*prompt, {"role": "assistant", "content": "😀"}]
    shorter = _tokens(told, audio_tokens=12)
    told[-1] = {"role": "assistant", "content": "😀😀"}
    each = _tokens(told, audio_tokens=12) - shorter
    fits = 1 + (holds - shorter) // each
    line = GOOD | {"prompt": prompt, name: "😀" * fits}
    assert len(_read(folder, json.dumps(line))) == 1
    line[name] += "😀"
    with pytest.raises(RunError) as caught:
        _read(folder, json.dumps(GOOD), json.dumps(line))
    tokens = shorter + fits * each
    assert tokens > holds
    assert str(caught.value) == (
        f"pairs.jsonl, line 2: with its {name} reply the dialogue is {tokens} tokens long; "
        f"the model holds {holds}: shorten it"
    )


def test_short_pairs_are_not_counted_token_by_token(folder, monkeypatch):
    monkeypatch.setattr(paths, "data_samples", lambda: folder)  # there is no tokenizer
    assert len(_read(folder, json.dumps(GOOD))) == 1

"""Replies are asked once, survive a kill, and are never reused for another question."""

import json
import shutil
from dataclasses import asdict, fields, replace

import pytest

from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import Q2AError
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, answer_once, text_hash

KEY = ReplyKey(checkpoint="abc", suite="sound", item="0", prompt="p", decoding="greedy")
KEYS = [replace(KEY, item=str(number)) for number in range(7)]


class Model:
    """Answers with the item's place, and may be killed after some batches."""

    def __init__(self, batches: int = 99):
        self.batches = batches
        self.asked: list[int] = []

    def __call__(self, places: list[int]) -> list[str]:
        if not self.batches:
            raise KeyboardInterrupt
        self.batches -= 1
        self.asked += places
        return [f"reply {place}\n猫 \ud800" for place in places]


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "deep" / "replies.jsonl"
    killed = Model(batches=2)
    with pytest.raises(KeyboardInterrupt):
        answer_once(ReplyStore(path), KEYS, killed, batch_size=2)
    assert killed.asked == [0, 1, 2, 3]
    model, seen = Model(), []
    replies = answer_once(
        ReplyStore(path), KEYS, model, batch_size=2, on_progress=lambda *pair: seen.append(pair)
    )
    assert model.asked == [4, 5, 6]
    assert replies == [f"reply {place}\n猫 \ud800" for place in range(7)]
    assert seen == [(4, 7), (6, 7), (7, 7)]
    again = Model()
    assert answer_once(ReplyStore(path), KEYS, again) == replies
    assert again.asked == []


@pytest.mark.parametrize("name", [field.name for field in fields(ReplyKey)])
def test_a_change_of_anything_asks_anew(name, tmp_path):
    store = ReplyStore(tmp_path / "replies.jsonl")
    store.put(KEY, "old")
    changed = replace(KEY, **{name: "changed"})
    assert ReplyStore(store.path).get(KEY) == "old"
    assert ReplyStore(store.path).get(changed) is None


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_half_written_last_line_is_skipped_and_stays_alone(tmp_path, cut):
    path = tmp_path / "replies.jsonl"
    store = ReplyStore(path)
    for key in KEYS[:3]:
        store.put(key, "yes")
    path.write_bytes(path.read_bytes()[:-cut])
    store = ReplyStore(path)
    whole = 3 if cut == 1 else 2  # only the line's end was lost: the reply is whole
    assert (len(store), store.skipped) == (whole, 3 - whole)
    store.put(KEYS[3], "no")
    store = ReplyStore(path)
    assert (len(store), store.get(KEYS[3])) == (whole + 1, "no")


def test_rubbish_is_skipped_and_counted(tmp_path):
    path = tmp_path / "replies.jsonl"
    ReplyStore(path).put(KEY, "yes")
    rubbish = [b"\xff\xfe", b"[1]", b"{}", b"null", b"[" * 5000]
    rubbish.append(json.dumps({name.name: 1 for name in fields(ReplyKey)} | {"reply": 2}).encode())
    path.write_bytes(path.read_bytes() + b"\n".join(rubbish))
    store = ReplyStore(path)
    assert (len(store), store.skipped) == (1, len(rubbish))


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"checkpoint": {"name": "mini"}, "rows": []}, indent=1) + "\n",
        json.dumps({"checkpoint": {"name": "mini"}, "rows": []}),
        '{"file": "a.wav", "task": "sound", "label": "dog"}\n',
        json.dumps(asdict(KEY)) + "\n",
        "notes of mine",
        "\0" * 100,
    ],
    ids=["report", "report in one line", "manifest", "without a reply", "text", "bytes"],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content, "utf-8")
    with pytest.raises(Q2AError, match="choose another file for the replies") as caught:
        ReplyStore(path)
    assert "\n" not in str(caught.value)
    assert path.read_text("utf-8") == content


@pytest.mark.parametrize("length", [1, 10, 30, 90])
def test_a_run_killed_in_its_first_lines_goes_on(tmp_path, length):
    path = tmp_path / "replies.jsonl"
    ReplyStore(path).put(KEY, "yes")
    half = path.read_bytes()[:length]
    path.write_bytes(half + b"\n" + half)
    store = ReplyStore(path)
    assert (len(store), store.skipped) == (0, 2)
    store.put(KEY, "yes")
    assert ReplyStore(path).get(KEY) == "yes"


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "replies.jsonl").touch()
    assert ReplyStore(tmp_path / "replies.jsonl").skipped == 0


def test_equal_questions_are_asked_once():
    model = Model()
    replies = answer_once(ReplyStore(), [KEY, KEYS[1], KEY], model)
    assert model.asked == [0, 1]
    assert replies[0] == replies[2]


def test_a_disk_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Q2AError, match="cannot be kept"):
        ReplyStore(tmp_path / "file" / "replies.jsonl").put(KEY, "yes")
    with pytest.raises(Q2AError, match="expected a file of replies"):
        ReplyStore(tmp_path)


def test_hashes_tell_texts_apart():
    assert len(text_hash("a")) == 12
    assert text_hash("a") != text_hash("b")


def test_another_tokenizer_is_asked_anew(tiny_checkpoint, tmp_path):
    """The same weights write other text."""
    changed = shutil.copytree(tiny_checkpoint, tmp_path / "changed")
    path = changed / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    vocab = tokenizer["model"]["vocab"]
    first, second = sorted((token for token in vocab if vocab[token] > 300), key=vocab.get)[:2]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    path.write_text(json.dumps(tokenizer), "utf-8")
    before, after = open_checkpoint(tiny_checkpoint), open_checkpoint(changed)
    assert before.hash == after.hash
    assert before.reply_hash != after.reply_hash
    assert before.reply_hash == open_checkpoint(tiny_checkpoint).reply_hash

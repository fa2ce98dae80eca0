"""Recordings with their truth: what a manifest may say, and how the replies are scored."""

import json
import shutil
import sys
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from q2a_core import AudioChat, paths
from q2a_core.audio import write_wav
from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import CheckpointError, Q2AError
from q2a_core.evaluation import bleu, recording_scores, recordings
from q2a_core.evaluation.manifest import manifest_text, parse_manifest
from q2a_core.evaluation.replies import ReplyStore, text_hash
from q2a_core.evaluation.tables import report_table
from q2a_core.inspection import read_gallery
from q2a_core.text import ChatFormat

TONE = np.sin(np.arange(8000) / 20).astype(np.float32) / 4
WORD = {"file": "a.wav", "task": "transcribe", "text": "Seven", "language": "en"}
DOG = {"file": "b.wav", "task": "sound", "label": "dog"}


@pytest.fixture
def folder(tmp_path):
    clips = tmp_path / "clips"
    (clips / "more").mkdir(parents=True)
    for number, name in enumerate(("a.wav", "b.wav", "more/ü c.wav")):
        write_wav(clips / name, TONE[: 4000 + 100 * number])
    (clips / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt nothing")
    (tmp_path / "outside.wav").write_bytes(b"")
    return clips


def write(folder, *rows, name="manifest.jsonl"):
    path = folder.parent / name
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(folder, manifest):
    return parse_manifest(manifest_text(manifest), folder, name=manifest.name)


def test_a_good_manifest(folder):
    manifest = write(
        folder,
        "\ufeff" + json.dumps(WORD),
        "",
        DOG | {"licence": "CC0"},
        {"file": "more/ü c.wav", "task": "question", "answer": "two", "prompt": "How many?"},
        {"file": "a.wav", "task": "question", "answer": "two"},
        {"file": "a.wav", "task": "translate", "text": "die Tür", "language": "de"},
    )
    word, dog, question, spoken, german = read(folder, manifest)
    assert (word.line, word.truth, word.language) == (1, "Seven", "en")
    assert word.prompt == "Detect the language and recognize the speech: <|en|>"
    assert (dog.line, dog.truth, dog.prompt) == (3, "dog", "What is this sound?")
    assert (question.path.name, question.prompt) == ("ü c.wav", "How many?")
    assert spoken.prompt is None
    assert german.prompt == "Detect the language and translate the speech into German:"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "found '{', which is no JSON"),
        ("[1]", "found a list; expected an object"),
        ("[" * 100_000, "which is no JSON"),
        ({"task": "sound", "label": "dog"}, "found no file; expected a text"),
        (DOG | {"file": 3}, "file is 3; expected a text"),
        (DOG | {"task": "smell"}, "found the task 'smell'; expected one of transcribe"),
        ({"file": "a.wav", "task": "sound"}, "found no truth; expected one of text"),
        (DOG | {"text": "dog"}, "found text and label; expected one of"),
        (DOG | {"label": " "}, "label is ' '; expected a text"),
        (DOG | {"label": None}, "found no truth; expected one of text"),
        ('{"file": "b.wav", "task": "sound", "label": "\\ud800"}', "half a surrogate pair"),
        (DOG | {"sounds": [], "dialogue": []}, "the dialogue is not as q2a synth writes it"),
        (DOG | {"sounds": [], "dialogue": [1, 2]}, "the dialogue is not as q2a synth writes it"),
        (DOG | {"langauge": "en"}, "found the key 'langauge'; expected 'language'"),
        (DOG | {"language": "English"}, "found the language 'English'; expected a code"),
        (DOG | {"prompt": ["What?"]}, "prompt is .*; expected a text"),
        (
            {"file": "a.wav", "task": "translate", "text": "drws", "language": "cy"},
            "found the language 'cy', whose name is not known here .*; expected a prompt",
        ),
        (DOG | {"file": "none.wav"}, "found no clip 'none.wav'; expected it in"),
        (DOG | {"file": "more"}, "found no clip 'more'"),
        (DOG | {"file": "a\0.wav"}, "found no clip"),
        (DOG | {"file": "a" * 5000}, "found no clip"),
        (
            '{"file": "b.wav", "task": "sound", "label": "dog", "label": "cat"}',
            "found 'label' twice",
        ),
        ('{"a": {"b": 1, "b": 2}}', "found 'b' twice, with 1 and 2; expected one"),
        (DOG | {"file": "../outside.wav"}, "lies outside the folder"),
        (DOG | {"file": "/etc/hostname"}, "lies outside the folder"),
    ],
)
def test_each_bad_line_is_one_sentence(folder, row, problem):
    manifest = write(folder, WORD, row, DOG)
    with pytest.raises(Q2AError, match=rf"^manifest.jsonl, line 2: .*{problem}") as caught:
        read(folder, manifest)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_name_is_the_same_in_both_forms_of_unicode(folder, form, on_disk):
    """As an archive from a Mac has them, whose names are decomposed."""
    write_wav(folder / unicodedata.normalize(on_disk, "größe é.wav"), TONE)
    name = unicodedata.normalize(form, "größe é.wav")
    [recording] = read(folder, write(folder, DOG | {"file": name}))
    assert recording.file == name
    assert recording.path.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_links_are_followed_inside_the_folder_only(folder):
    (folder / "inside.wav").symlink_to("b.wav")
    [recording] = read(folder, write(folder, DOG | {"file": "inside.wav"}))
    assert recording.path.resolve() == (folder / "b.wav").resolve()
    (folder / "link.wav").symlink_to("../outside.wav")
    (folder / "elsewhere").symlink_to(folder.parent)
    for name in ("link.wav", "elsewhere/outside.wav"):
        with pytest.raises(Q2AError, match=r"link that leads outside .*outside.wav; .*: copy it"):
            read(folder, write(folder, DOG | {"file": name}))
    (folder / "round.wav").symlink_to("round.wav")
    with pytest.raises(Q2AError, match="found no clip"):
        read(folder, write(folder, DOG | {"file": "round.wav"}))
    mirror = folder.parent / "mirror"
    mirror.symlink_to(folder)
    assert read(mirror, write(folder, DOG))


def test_all_bad_lines_are_told_at_once_up_to_a_limit(folder):
    with pytest.raises(Q2AError, match="line 25") as caught:
        read(folder, write(folder, *[WORD] * 23, "x", "y"))
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(Q2AError, match="and 10 more lines"):
        read(folder, write(folder, *["x"] * 30))


def test_manifests_that_are_none(folder):
    with pytest.raises(Q2AError, match="is empty"):
        read(folder, write(folder, "", " "))
    with pytest.raises(Q2AError, match="No such file"):
        read(folder, folder / "none.jsonl")
    with pytest.raises(Q2AError, match="Is a directory"):
        read(folder, folder)
    with pytest.raises(Q2AError, match="is no folder"):
        read(folder / "none", write(folder, WORD))
    (folder / "latin.jsonl").write_bytes(b'{"file": "\xe4"}')
    with pytest.raises(Q2AError, match="not UTF-8"):
        read(folder, folder / "latin.jsonl")


def figures(folder, *pairs):
    """(suite, language, metric) -> value, of manifest rows with their replies."""
    manifest = write(folder, *[row for row, _ in pairs])
    answered = zip(read(folder, manifest), [reply for _, reply in pairs], strict=True)
    rows = recording_scores.score_answers(list(answered))
    return {(row["suite"], row["language"], row["metric"]): row["score"]["value"] for row in rows}


def test_single_words_are_scored_three_ways(folder):
    replies = ["7.", "You said: seven.", "eleven", ""]
    scores = figures(folder, *[(WORD, reply) for reply in replies])
    assert scores["transcribe", "en", "word accuracy"] == 0.25
    assert scores["transcribe", "en", "truth in reply"] == 0.5
    assert scores["transcribe", "en", "WER"] == (0 + 2 + 1 + 1) / 4


def test_each_language_has_its_own_rows(folder):
    chinese = {"file": "a.wav", "task": "transcribe", "text": "红色的猫", "language": "zh"}
    scores = figures(
        folder,
        (WORD, "seven"),
        (chinese, "红 色的狗。"),
        (
            {"file": "a.wav", "task": "translate", "text": "a b c d e", "language": "en"},
            "a b c d e",
        ),
    )
    assert scores["transcribe", "en", "WER"] == 0
    assert scores["transcribe", "zh", "CER"] == 0.25
    assert scores["translate", "en", "BLEU"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("language", "text", "reply"),
    [
        ("yue", "今日天氣好好，我哋出去行。", "今日天氣好好 我哋出去行"),
        ("ja", "今日は天気がとてもいいです。", "今日は天気がとてもいいです"),
    ],
)
def test_a_right_reply_is_right_without_spaces(folder, language, text, reply):
    row = {"file": "a.wav", "text": text, "language": language}
    scores = figures(folder, (row | {"task": "transcribe"}, reply))
    assert scores["transcribe", language, "CER"] == 0
    assert scores["transcribe", language, "word accuracy"] == 1
    longer = figures(folder, (row | {"task": "transcribe"}, f"{reply}吗"))
    assert longer["transcribe", language, "truth in reply"] == 1
    assert figures(folder, (row | {"task": "translate"}, reply))["translate", language, "BLEU"] > 60


def test_how_japanese_was_counted_stands_in_the_report(folder, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr(bleu, "has_mecab", lambda: False)
    row = {"file": "a.wav", "task": "translate", "text": "犬", "language": "ja"}
    manifest = write(folder, row, row | {"language": "zh"})
    report = recordings.score_recordings(tiny_checkpoint, folder, manifest, max_new_tokens=1)
    told = {name for name in report["conditions"] if name.startswith("BLEU")}
    assert told == {"BLEU, ja"}
    assert "tok:char" in report["rows"][0]["score"]["signature"]
    assert "BLEU, ja: n-grams of characters" in report_table(report, beside={})


def test_labels_and_answers(folder):
    joy = {"file": "a.wav", "task": "emotion", "label": "joy"}
    question = {"file": "a.wav", "task": "question"}
    scores = figures(
        folder,
        (DOG, "This is the sound of a dog."),
        (DOG, "A dog and a cat."),
        (DOG | {"label": "cat"}, "a cat"),
        (joy, "The speaker is happy."),
        (joy, " joy"),
        (question | {"answer": "two"}, "It happens 2 times."),
        (question | {"answer": "yes"}, "No, and yes is wrong."),
        (question | {"answer": "no"}, "No, there is none."),
    )
    assert scores["sound", "en", "accuracy"] == pytest.approx(2 / 3)
    assert scores["emotion", "en", "accuracy"] == 1
    assert scores["emotion", "en", "exact"] == 0.5
    assert scores["question", "en", "accuracy"] == pytest.approx(2 / 3)
    alone = figures(folder, (DOG, "This is a cat, a cow and a dog."), (DOG, "dog"))
    assert alone["sound", "en", "accuracy"] == 0.5, "rivals need not stand in the manifest"
    who = {"file": "a.wav", "task": "speaker", "label": "male"}
    said = figures(folder, (who, "The speaker is a man."), (who, "The speaker is a woman."))
    assert said["speaker", "en", "accuracy"] == 0.5
    rain = {"file": "a.wav", "task": "transcribe", "text": "今日は雨です", "language": "ja"}
    assert figures(folder, (rain, "今日は雨でした"))["transcribe", "ja", "CER"] < 0.5


def test_clips_that_could_not_be_used_are_told():
    failures = [{"file": f"{n}.wav", "line": n, "reason": "no sound"} for n in range(1, 30)]
    noticed = [{"file": "b.wav", "line": 4, "notices": ["b.wav is truncated", "b.wav is silent"]}]
    told = recordings.troubled_clips({"n": 40, "failures": failures, "replies": noticed})
    assert "29 of 40 clips could not be used and count as wrong:" in told
    assert "- 3.wav, line 3: no sound" in told
    assert "- and 9 more\n\n1 of 40 clips were heard with a notice:" in told
    assert told.rstrip().endswith("- b.wav, line 4: b.wav is truncated; b.wav is silent")
    quiet = [{"file": "b.wav", "line": 4, "notices": []}]
    assert recordings.troubled_clips({"n": 40, "failures": [], "replies": quiet}) == ""


def test_truths_without_a_word_give_no_error_rate(folder):
    """JSON has no NaN."""
    scores = figures(folder, (WORD | {"text": "[silence]"}, "seven"))
    assert scores["transcribe", "en", "WER"] is None
    assert scores["transcribe", "en", "word accuracy"] == 0


def said(*turns):
    """A dialogue as q2a synth writes it: pairs of a question, None for the clip alone, and its answer."""
    messages = []
    for number, (question, answer) in enumerate(turns):
        parts = [] if number else [{"type": "audio"}]
        parts += [] if question is None else [{"type": "text", "text": question}]
        messages += [{"role": "user", "content": parts}, {"role": "assistant", "content": answer}]
    return messages


def made(task, *turns, **more):
    line = {"file": "a.wav", "seconds": 1.0, "label": "a dog", "kind": "sound", "text": None}
    return line | {"sounds": ["dog"], "task": task, "dialogue": said(*turns)} | more


def test_lines_of_made_clips_are_understood(folder):
    lines = [
        (made("transcribe", ("What?", "die Katze"), language="de"), "transcribe", "die Katze"),
        (made("transcribe", ("What?", "There is no speech in this clip.")), "question", None),
        (made("translate", ("In Mandarin?", "红色的猫")), "translate", "红色的猫"),
        (made("name_sound", ("What?", "This is the sound of a dog.")), "sound", "dog"),
        (made("name_sound", ("What?", "I hear only silence.")), "question", None),
        (made("is_there", ("A cat?", "No, there is no cat.")), "question", "no"),
        (made("count", ("How often?", "It happens twice.")), "question", "twice"),
        (made("emotion", ("Keyword?", "anger")), "emotion", "anger"),
        (made("emotion", ("How?", "The speaker sounds angry.")), "question", None),
        (made("voice_chat", (None, "You said: red.")), "question", None),
        (made("count", ("What?", "a dog"), ("How often?", "Once.")), "question", "a dog"),
        (
            made("count", ("What?", "dog"), ("And?", "Once."), turns=["transcribe", "count"]),
            "transcribe",
            "dog",
        ),
    ]
    found = read(folder, write(folder, *[line for line, _, _ in lines]))
    for recording, (line, task, truth) in zip(found, lines, strict=True):
        first, answer = line["dialogue"][:2]
        texts = [part["text"] for part in first["content"] if "text" in part]
        assert recording.prompt == (texts[0] if texts else None)
        assert (recording.task, recording.truth) == (task, truth or answer["content"])
    assert [recording.language for recording in found[:4]] == ["de", "en", "zh", "en"]


def test_the_shipped_clips_can_be_scored():
    root = paths.data_samples()
    found = read(root / "clips", root / "manifest.jsonl")
    assert len(found) == len(read_gallery())
    truths = {recording.path.stem: recording for recording in found}
    assert (truths["rain"].truth, truths["rain"].task) == ("no", "question")
    assert truths["rooster"].prompt is None
    assert truths["chinese_five_cats"].language == "zh"


@pytest.fixture
def manifest(folder):
    return write(folder, WORD, DOG, DOG | {"file": "broken.wav"})


def test_a_checkpoint_is_asked_about_each_clip_once(
    folder, manifest, tiny_checkpoint, monkeypatch, tmp_path
):
    asked = []
    ask = AudioChat.ask

    def count(chat, audio, text, **options):
        asked.append((audio.name, text, chat.messages))
        return ask(chat, audio, text, **options)

    monkeypatch.setattr(AudioChat, "ask", count)
    path, seen = tmp_path / "replies.jsonl", []
    options = {"max_new_tokens": 3, "on_progress": lambda *pair: seen.append(pair)}
    report = recordings.score_recordings(
        open_checkpoint(tiny_checkpoint), folder, manifest, store=ReplyStore(path), **options
    )
    assert json.loads(json.dumps(report)) == report
    assert [name for name, _, _ in asked] == ["a.wav", "b.wav"], (
        "what is no sound is not asked about"
    )
    assert all(messages == [] for _, _, messages in asked)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert report["n"] == len(report["replies"]) == 3
    (failure,) = report["failures"]
    assert (failure["file"], failure["line"]) == ("broken.wav", 3)
    assert "broken.wav" in failure["reason"]
    assert report["replies"][2]["reply"] == ""
    scores = {row["suite"]: row["score"] for row in report["rows"]}
    assert scores["sound"]["n"] == 2
    assert report["checkpoint"]["hash"] == open_checkpoint(tiny_checkpoint).hash

    again = recordings.score_recordings(
        str(tiny_checkpoint), folder, manifest, store=ReplyStore(path), **options
    )
    assert again == report
    assert len(asked) == 2
    write_wav(folder / "a.wav", TONE[:5000])
    recordings.score_recordings(
        tiny_checkpoint, folder, manifest, store=ReplyStore(path), **options
    )
    assert [name for name, _, _ in asked[2:]] == ["a.wav"]


def test_a_reply_that_was_decoded_otherwise_is_not_taken_for_this_one(
    folder, tiny_checkpoint, tmp_path
):
    """The hash of a checkpoint knows its weights, not where its replies end, nor what stands before a question."""
    manifest, store = write(folder, WORD), ReplyStore(tmp_path / "replies.jsonl")
    usual = AudioChat.from_pretrained(tiny_checkpoint)
    chats = [usual, AudioChat(usual.checkpoint, usual.model, system="Say nothing but the word.")]
    [first, *_, last] = usual.ask(TONE[:4000], "Go on.", sample_rate=16_000).token_ids
    for changes in (
        {"eos_token_id": [first, last]},
        {"eos_token_id": None},
        {"eos_token_id": [2, 0, last], "min_new_tokens": 2},
        {"repetition_penalty": 1.5},
    ):
        settings = usual.checkpoint.generation_config | changes
        checkpoint = replace(usual.checkpoint, generation_config=settings)
        chats.append(AudioChat(checkpoint, usual.model))
    known = []
    for chat in chats:
        report = recordings.score_recordings(chat, folder, manifest, store=store, max_new_tokens=5)
        fresh = recordings.score_recordings(chat, folder, manifest, max_new_tokens=5)
        assert report == fresh
        known.append(report["conditions"]["decoding"])
    assert len(store) == len(chats)
    end = "long clips cut by the window"
    assert known == [
        f"greedy, at most 5 tokens, {end}",
        f"greedy, at most 5 tokens, {end}",
        f"greedy, at most 5 tokens, ending at token {' or '.join(map(str, sorted({first, last})))}, {end}",
        f"greedy, at most 5 tokens, ending at no token, {end}",
        f"greedy, at most 5 tokens, at least 2, ending at token {' or '.join(map(str, sorted({2, 0, last})))}, {end}",
        f"greedy, at most 5 tokens, repetition penalty 1.5, {end}",
    ]


def test_a_clip_longer_than_the_window_is_heard_in_pieces(folder, tiny_checkpoint):
    chat = AudioChat.from_pretrained(tiny_checkpoint)
    write_wav(folder / "a.wav", np.resize(TONE, chat.model.config.encoder.max_samples + 9000))
    report = recordings.score_recordings(chat, folder, write(folder, WORD), max_new_tokens=2)
    assert report["failures"] == []
    assert chat.messages == []


def test_a_clip_comes_with_the_notices_that_an_answer_about_it_has(
    folder, tiny_checkpoint, tmp_path
):
    """Whether it is asked about or its reply is known."""
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    (checkpoint / "about.json").write_text('{"trained_seconds": 0.3}', "utf-8")
    settings = checkpoint / "generation_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text("utf-8")) | {"num_beams": 4}))
    chat = AudioChat.from_pretrained(checkpoint)
    write_wav(folder / "a.wav", np.resize(TONE, chat.model.config.encoder.max_samples + 9000))
    write_wav(folder / "b.wav", np.resize(TONE, 2 * 16_000))
    short = DOG | {"file": "more/ü c.wav"}
    store, manifest = ReplyStore(tmp_path / "replies.jsonl"), write(folder, WORD, DOG, short)
    for _ in ("asked", "known"):
        report = recordings.score_recordings(chat, folder, manifest, store=store, max_new_tokens=2)
        for row in report["replies"]:
            asked = chat.fork().ask(folder / row["file"], "What?", split="window", max_new_tokens=2)
            of_the_reply = [
                notice
                for notice in asked.notices
                if "num_beams" in notice or "the reply was cut" in notice
            ]
            assert [*row["notices"], *of_the_reply] == list(asked.notices)
            assert of_the_reply
        assert report["conditions"]["ignored"] == "num_beams=4"
        cut, guessed, quiet = (row["notices"] for row in report["replies"])
        assert any("was cut into 2 clips" in notice for notice in cut)
        assert any("trained on clips up to 0.3 s" in notice for notice in guessed)
        assert quiet == []
        assert "2 of 3 clips were heard with a notice" in recordings.troubled_clips(report)


def test_a_prompt_that_the_template_refuses_is_one_failure(folder, tiny_checkpoint, monkeypatch):
    chat = AudioChat.from_pretrained(tiny_checkpoint)
    manifest = write(folder, WORD, WORD | {"prompt": "no"})
    read, render = manifest.read_bytes(), ChatFormat.render

    def refuse(chat_format, messages, **options):
        manifest.unlink(missing_ok=True)  # what was read is what the report is of
        if messages[-1]["content"][-1]["text"] == "no":
            raise CheckpointError("the chat template cannot render this")
        return render(chat_format, messages, **options)

    monkeypatch.setattr(ChatFormat, "render", refuse)
    report = recordings.score_recordings(chat, folder, manifest, max_new_tokens=2)
    [failure] = report["failures"]
    assert (failure["line"], failure["reason"]) == (2, "the chat template cannot render this")
    assert report["conditions"]["manifest"] == text_hash(read.decode())

"""The mini Table 2: a perfect listener scores perfectly, one that guesses from the question does not."""

import json
from dataclasses import replace

import pytest
import torch

from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import Q2AError
from q2a_core.evaluation import external_judge, mini_controls, mini_table
from q2a_core.evaluation.judge_endpoint import Endpoint
from q2a_core.evaluation.judged_chat import judge_items
from q2a_core.evaluation.mini_scores import kind_of_reply
from q2a_core.evaluation.mini_suite import mini_items
from q2a_core.evaluation.mini_suites import MINI_SUITES, suites_named
from q2a_core.evaluation.replies import ReplyStore
from q2a_core.evaluation.tables import BESIDE, judge_table, report_table
from q2a_core.model import Qwen2Audio
from q2a_core.world.naming import names_of

ASKED = ("recognition", "translation en-de", "emotion", "everyday sound", "false yes")
ASKED += ("mode: kind of reply", "mini AIR-Bench, mixed", "sound in mixtures")


@pytest.fixture(scope="module")
def spoken_book(tmp_path_factory):
    from q2a_core.world.speech import build_book, plan_utterances

    plan = plan_utterances("test", count=160, seed=0)
    return build_book(plan, tmp_path_factory.mktemp("grown-test"), workers=2)


@pytest.fixture(scope="module")
def wide_checkpoint(tiny_model, chat_format, tmp_path_factory):
    """The tiny model with a window that takes the suites' longest clips."""
    config = tiny_model.config
    model = Qwen2Audio(replace(config, encoder=replace(config.encoder, max_source_positions=500)))
    model.init_weights(torch.Generator().manual_seed(0))
    directory = tmp_path_factory.mktemp("checkpoints") / "wide"
    return save_checkpoint(model, directory, chat_format=chat_format)


@pytest.fixture
def report(wide_checkpoint, spoken_book, monkeypatch):
    """Of a listener who knows the truth of every clip by heart, and nothing of silence and noise."""
    suites = tuple(suite for suite in MINI_SUITES if suite.name in ASKED)
    heard = {}

    def listen(checkpoint, model, items):
        return [heard.get(item.samples.tobytes(), "There is no speech.") for item in items]

    for suite in suites:
        count = 6 * mini_table.LARGER.get(suite.name, 1)
        for item in mini_items(suite, spoken_book, count=count):
            heard[item.samples.tobytes()] = item.task.answer
    monkeypatch.setattr(mini_table, "open_or_build", lambda *_, **__: spoken_book)
    monkeypatch.setattr(mini_table, "answer", listen)
    store = ReplyStore()
    checkpoint = open_checkpoint(wide_checkpoint)
    made = mini_table.evaluate_mini(checkpoint, count=6, suites=suites, store=store)
    again = mini_table.evaluate_mini(checkpoint, count=6, suites=suites, store=store)
    assert again["rows"] == made["rows"]
    return made


def test_a_perfect_listener_scores_perfectly_and_fails_on_swapped_clips(report):
    assert json.loads(json.dumps(report)) == report
    rows = {row["suite"]: row for row in report["rows"]}
    assert set(ASKED) <= set(rows)
    for name in ("recognition", "false yes"):
        assert rows[name]["score"]["value"] == 0
    for name in ("emotion", "everyday sound", "mode: kind of reply", "sound in mixtures"):
        assert rows[name]["score"]["value"] == 1
    assert rows["translation en-de"]["score"]["value"] == pytest.approx(100)
    assert rows["mini AIR-Bench, mixed"]["score"]["value"] >= 9
    assert rows["false yes"]["hits"] == []
    assert rows["emotion"]["hits"] == list(range(6))
    assert rows["recognition"]["control"]["value"] > 0.8
    assert rows["everyday sound"]["control"]["value"] < 0.5
    assert rows["listening: recognition of silence"]["score"]["value"] == 1
    assert rows["false yes"]["score"]["n"] == 36


def test_a_report_keeps_as_many_replies_as_it_is_asked_for(
    wide_checkpoint, spoken_book, monkeypatch
):
    monkeypatch.setattr(mini_table, "open_or_build", lambda *_, **__: spoken_book)
    monkeypatch.setattr(mini_table, "answer", lambda checkpoint, model, items: [""] * len(items))
    chosen = suites_named(["recognition"])
    options = {"count": 12, "suites": chosen, "controls": False}
    for asked, due in ({}, mini_table.EXAMPLES), ({"examples": 12}, 12), ({"examples": 99}, 12):
        made = mini_table.evaluate_mini(open_checkpoint(wide_checkpoint), **options, **asked)
        assert len(made["examples"]) == due


def test_the_table_stands_beside_the_papers(report):
    table = report_table(report)
    assert "| recognition | WER |" in table
    assert "LibriSpeech" in table
    assert "nrefs:1" in table
    assert set(BESIDE) <= {suite.name for suite in MINI_SUITES}


def test_one_suite_can_be_asked_for_alone(wide_checkpoint, spoken_book, monkeypatch, tmp_path):
    monkeypatch.setattr(mini_table, "open_or_build", lambda *_, **__: spoken_book)
    chosen = suites_named(["vocal sound"])
    path = tmp_path / "replies.jsonl"
    made = mini_table.evaluate_mini(
        open_checkpoint(wide_checkpoint),
        count=3,
        suites=chosen,
        prompts="in rhyme",
        controls=False,
        store=ReplyStore(path),
    )
    assert [row["suite"] for row in made["rows"]] == ["vocal sound"]
    assert made["conditions"]["prompts"] == "in rhyme"
    assert len(ReplyStore(path)) == 4, "a new file of replies holds them all"
    with pytest.raises(Q2AError, match="no suite is called 'vocals'; known: recognition"):
        suites_named(["vocal sound", "vocals"])


def test_the_chat_suites_can_be_marked_by_an_outside_judge(
    report, wide_checkpoint, spoken_book, monkeypatch
):
    """Each clip is told in words, with everything that the true answer says of it."""
    answered = {}
    suites = suites_named(["mini AIR-Bench, mixed", "mini AIR-Bench, speech", "emotion"])
    mini_table.evaluate_mini(
        open_checkpoint(wide_checkpoint),
        count=20,
        suites=suites,
        controls=False,
        on_answered=answered.__setitem__,
    )
    items = judge_items(answered)
    assert [item.category for item in items] == ["speech"] * 20 + ["mixed"] * 20
    monkeypatch.setattr(external_judge, "complete", lambda endpoint, messages: "9 7")
    marks = external_judge.mark_items(Endpoint(base_url="http://x/v1", model="m"), items)
    assert marks["counts"]["scored"] == 40
    assert {row["score"]["value"] for row in marks["rows"]} == {8}
    line = "| AIR-Bench chat, mixed | 8.00 (8.00 to 8.00) | 8.00 | +2.00 | 20 |"
    assert line in judge_table(marks), "who stands first gains two marks, and loses them swapped"
    for (item, _), told in zip(answered["mini AIR-Bench, mixed"], items[20:], strict=True):
        speech = item.scene.first("speech")
        assert speech is None or f'"{speech.label}"' in told.description
        for event in item.scene.events:
            if event.kind in ("sound", "music"):
                names = names_of(event.label)
                assert any(name.split()[0] in told.description.lower() for name in names)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("No, there is no dog.", True),
        ("I hear only silence.", True),
        ("I hear a piano and a guitar.", False),
        ("the volcano erupts", False),
        ("nobody", False),
    ],
)
def test_nothing_heard_is_said_in_whole_words(reply, says):
    assert mini_controls.says_nothing_heard(reply) == says


def test_suites_have_names_and_seeds_of_their_own():
    assert len({suite.name for suite in MINI_SUITES}) == len(MINI_SUITES)
    assert len({suite.seed for suite in MINI_SUITES}) == len(MINI_SUITES)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("You said: red.", "acknowledge"),
        ("你说：狗。", "acknowledge"),
        ("Du sagst: Hund.", "acknowledge"),
        ("It happens twice.", "count"),
        ("First I hear a dog.", "first"),
        ("No, there is no dog.", "yes_no"),
        ("I hear a piano. The music is slow.", "describe"),
        ("I hear only a voice.", "person"),
    ],
)
def test_kinds_of_replies(reply, kind):
    assert kind_of_reply(reply) == kind


def test_a_window_shorter_than_the_clips_is_said_before_anything_is_built(
    tiny_checkpoint, monkeypatch
):
    """Else the first long clip would end an evaluation that has run for minutes."""
    monkeypatch.setattr(mini_table, "open_or_build", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(Q2AError, match=r"tiny hears 5 s at once; .* up to 10 s"):
        mini_table.evaluate_mini(open_checkpoint(tiny_checkpoint), count=3)

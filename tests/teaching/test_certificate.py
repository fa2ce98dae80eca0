"""The certificate: refused while too little has passed, and any change to it is seen."""

import json

import pytest

from q2a_core.cli import main
from q2a_core.errors import Q2AError
from q2a_core.teaching import certificate
from q2a_core.teaching.certificate import (
    class_exercises,
    fingerprint,
    new_record,
    verify,
    write_certificate,
)
from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.course import LESSONS
from q2a_core.teaching.progress import note_passed
from q2a_core.teaching.quiz.exit_quiz import keep_answers, questions

ASKED = [f"00.step{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def ten_checks(monkeypatch):
    """A class of ten checks, so that the bar lies at eight."""
    monkeypatch.setattr(certificate, "class_exercises", lambda: ASKED)


@pytest.fixture
def passed():
    """Everything of the class."""
    for name in class_exercises():
        note_passed(name)


def test_too_few_checks_are_refused_with_what_is_missing(ten_checks):
    for name in ASKED[:7]:
        note_passed(name)
    with pytest.raises(Q2AError) as refused:
        new_record()
    assert "7 of 10 checks" in str(refused.value)
    assert "needs 8 (80%)" in str(refused.value)
    assert "still open: 00.step7, 00.step8, 00.step9" in str(refused.value)
    note_passed(ASKED[7])
    assert new_record()["class_checks"] == {"passed": 8, "of": 10}


def test_the_class_lessons_are_asked_for_and_those_at_home_are_listed(passed):
    taught = {item.number for item in LESSONS if item.class_minutes}
    assert {name.partition(".")[0] for name in class_exercises()} <= taught
    home = [exercise.id for exercise in exercises_of("08")]
    note_passed(home[0])
    note_passed("77.unknown")
    record = new_record()
    assert home[0] in record["passed"]
    assert "77.unknown" not in record["passed"]
    assert record["class_checks"]["of"] == len(class_exercises())


def test_the_quiz_is_counted_from_its_answers(passed):
    assert new_record()["quiz"] is None
    item = questions()[0]
    keep_answers({item.id: next(o.text for o in item.options if o.right)})
    assert new_record()["quiz"] == {"right": 1, "of": len(questions())}


@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_any_change_is_seen(passed, tmp_path, suffix):
    path = write_certificate("Zoë <b>| ``` *", tmp_path / f"mine{suffix}")
    text = path.read_text("utf-8")
    record = verify(path)
    assert record["name"] == "Zoë <b>| ``` *"
    assert fingerprint(record) in text
    assert "no proof of identity" in text
    assert "<b>|" not in text or suffix == ".md"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert verify(path) == record  # a mail program's line ends
    for old, new, phrase in (
        (fingerprint(record), "0" * 64, "was changed"),
        (record["version"], "99.0", "was changed"),
        (record["date"], "1999-01-01", "was changed"),
        ("no proof of identity", "proof of identity", "the page around it"),
        ("Fingerprint", "Seal", "the page around it"),
    ):
        path.write_text(text.replace(old, new), "utf-8")
        with pytest.raises(Q2AError, match=phrase):
            verify(path)


def test_a_made_up_record_needs_its_own_page(tmp_path, passed):
    path = write_certificate("A", tmp_path / "a.md")
    record = verify(path)
    forged = record | {"name": "B"}
    text = path.read_text("utf-8")
    text = text.replace(fingerprint(record), fingerprint(forged))
    text = text.replace(*(json.dumps(r, indent=1, ensure_ascii=False) for r in (record, forged)))
    path.write_text(text, "utf-8")
    with pytest.raises(Q2AError, match="the page around it"):
        verify(path)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"class_checks": {"passed": 99, "of": 27}}, "99 of 27 in its class checks"),
        ({"class_checks": {"passed": 1, "of": 27}}, "class checks passed, and"),
        ({"class_checks": {"passed": True, "of": 27}}, "no whole numbers"),
        ({"class_checks": [1]}, "no counts"),
        ({"passed": ["00.tokens", "77.unknown"]}, "no exercise '77.unknown'"),
        ({"passed": ["00.tokens", "00.tokens"]}, "listed twice"),
        ({"passed": 3}, "no list of names"),
        ({"quiz": {"right": 11, "of": 10}}, "11 of 10 in its quiz"),
        ({"date": "yesterday"}, "its date is"),
        ({"name": None}, "its name is no text"),
        ({"extra": 1}, "it has the entries"),
    ],
)
def test_a_record_that_cannot_be_is_refused_with_its_fingerprint_right(
    tmp_path, passed, change, phrase
):
    record = new_record("A") | change
    path = tmp_path / "a.md"
    try:
        text = certificate.certificate_text(record, as_html=False)
    except (TypeError, KeyError):  # no page can be made of it
        text = f"```\n{fingerprint(record)}\n```\n\n```\n{json.dumps(record)}\n```\n"
    path.write_text(text, "utf-8")
    with pytest.raises(Q2AError, match=phrase):
        verify(path)


def test_only_a_certificate_is_written_over(tmp_path, passed):
    foreign = tmp_path / "essay.html"
    foreign.write_text("<!doctype html><p>three weeks of work", "utf-8")
    with pytest.raises(Q2AError, match="is no certificate, so it is left alone"):
        write_certificate("A", foreign)
    assert "three weeks" in foreign.read_text("utf-8")
    own = write_certificate("A", tmp_path / "mine.html")
    own.write_text(own.read_text("utf-8").replace("A", "B"), "utf-8")
    assert verify(write_certificate("C", own))["name"] == "C"


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff\xfe\x00", b"```\nx\n```\n```\n[1]\n```", b"<!doctype html><pre>"],
)
def test_what_is_no_certificate_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.md"
    path.write_bytes(content)
    with pytest.raises(Q2AError, match=r"x\.md"):
        verify(path)
    with pytest.raises(Q2AError, match=r"nowhere\.md cannot be read"):
        verify(tmp_path / "nowhere.md")


def test_bad_names_and_places_are_refused(passed, tmp_path):
    for name in ("x" * 81, "bell\x07"):
        with pytest.raises(Q2AError, match="the name is too long or cannot be printed"):
            write_certificate(name)
    with pytest.raises(Q2AError, match=r"expected \.html or \.md"):
        write_certificate("A", tmp_path / "mine.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(Q2AError, match="cannot be written"):
        write_certificate("A", tmp_path / "file" / "mine.md")


def test_the_command_writes_verifies_and_refuses(monkeypatch, capsys, home, tmp_path):
    def q2a(*arguments):
        monkeypatch.setattr("sys.argv", ["q2a", "lesson", "certificate", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    code, out, err = q2a("--name", "Ada")
    assert (code, out) == (2, "")
    assert err.startswith("q2a: 0 of ")
    assert "still open: 00.tokens" in err
    for name in class_exercises():
        note_passed(name)
    code, out, _ = q2a("--name", "Ada")
    path = home / "lessons" / "certificate.html"
    assert code == 0
    assert str(path) in out
    assert "the exit quiz is not in it yet" in out
    code, out, _ = q2a("--verify", path)
    assert code == 0
    assert "unchanged" in out
    assert "no proof of identity" in out
    code, out, _ = q2a("--verify", path, "--json")
    assert json.loads(out)["name"] == "Ada"
    path.write_text(path.read_text("utf-8").replace("Ada", "Eva"), "utf-8")
    code, _, err = q2a("--verify", path)
    assert code == 2
    assert "was changed" in err
    code, _, err = q2a("--verify", path, "--name", "Eva")
    assert code == 2
    assert "--verify only reads" in err

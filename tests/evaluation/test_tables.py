"""Results beside the paper's, and their place in the README."""

import os
import stat

import pytest

from q2a_core.errors import Q2AError
from q2a_core.evaluation.paper_figures import OURS, PAPER, RERUN
from q2a_core.evaluation.tables import BESIDE, END, START, paper_table, report_table, write_results

README = f"# Title\n\ntext\n{START}\nold | table\n{END}\nmore\n"


def score(value, **more):
    return {"value": value, "low": value / 2, "high": value * 2, "n": 120, **more}


REPORT = {
    "checkpoint": {"name": "mini", "hash": "abc"},
    "conditions": {"split": "test", "seeds": {"sound": 1, "music": 2}, "decoding": "greedy"},
    "rows": [
        {"suite": "recognition", "metric": "WER", "score": score(0.05), "control": score(0.9)},
        {"suite": "translation en-de", "metric": "BLEU", "score": score(30.0, signature="a|b")},
        {"suite": "mini AIR-Bench, mixed", "metric": "judge 0-10", "score": score(3.5)},
        {"suite": "a | b", "language": "de", "metric": "accuracy", "score": score(float("nan"))},
    ],
}


def cells(line):
    return [cell.strip() for cell in line.replace(r"\|", "/").strip("|\n").split("|")]


def test_figures_stand_beside_the_papers_and_say_so():
    head, _, *lines = report_table(REPORT).splitlines()
    assert cells(head)[5:] == ["paper: set", "paper: Qwen2-Audio", "official re-run"]
    wer, bleu, judge, other = (cells(line) for line in lines[:4])
    assert wer[2:] == [
        "5.0% (2.5% to 10.0%)",
        "90.0%",
        "120",
        "LibriSpeech test-clean (WER)",
        "1.6%",
        "1.7%",
    ]
    assert bleu[2] == "30.0 (15.0 to 60.0)"
    assert bleu[5:] == ["CoVoST2 en-de (BLEU)", "29.9", "29.6"]
    assert judge[2:] == [
        "3.50 (1.75 to 7.00)",
        "",
        "120",
        "AIR-Bench chat mixed (GPT-4)",
        "6.77",
        "6.42",
    ]
    assert other == ["a / b, de", "accuracy", "none (none to none)", "", "120", "", "", ""]
    assert "BLEU: `a|b`." in lines
    assert (
        lines[-1]
        == "Checkpoint mini (abc); split: test; seeds: sound 1, music 2; decoding: greedy."
    )


def test_every_suite_stands_beside_a_column_that_exists():
    for name, column in BESIDE.values():
        assert column in PAPER[name].columns


def test_rows_are_whole():
    for row in PAPER.values():
        assert {OURS, RERUN} <= set(row.results)
        assert all(len(figures) == len(row.columns) for figures in row.results.values())
        assert all(column in row.columns for _, column in row.corrections)


@pytest.mark.parametrize("system", ["BLSP", "PandaGPT", "Qwen-Audio"])
def test_what_was_printed_as_mixed_is_the_average(system):
    """With the right figure the four columns average to the printed one; the other systems' averages don't add up."""
    row = PAPER["air_bench"]
    speech, sound, music, mixed = row.results[system]
    right = row.corrections[system, "mixed"]
    assert (speech + sound + music + right) / 4 == pytest.approx(mixed, abs=0.01)


def test_the_whole_table_strikes_misprints_out():
    table = paper_table()
    assert "7.18 / 6.99 / 6.79 / 6.77" in table
    assert "6.47 / 6.95 / 5.52 / ~~6.08~~ 5.38" in table
    assert table.count("~~") == 12
    assert "| SpeechNet | - / - / 30.7% / - |" in table
    assert "| MELD | ACC | test | **Qwen2-Audio** | 55.3% |" in table
    columns = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert columns == {6}


def test_results_are_written_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_bytes(README.encode())
    path.chmod(0o640)
    for _ in range(2):
        write_results(path, "\n| new |\n| ü |\n")
        assert path.read_bytes().decode() == README.replace("old | table", "| new |\n| ü |")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["README.md"]


def test_line_ends_and_links_stay(tmp_path):
    path, link = tmp_path / "README.md", tmp_path / "link.md"
    path.write_bytes(README.replace("\n", "\r\n").encode())
    link.symlink_to(path)
    write_results(link, "a\nb\n")
    assert link.is_symlink()
    assert f"{START}\r\na\r\nb\r\n{END}\r\nmore".encode() in path.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", START, END, END + START, README + README, README.replace(END, "")],
    ids=["none", "no end", "no start", "wrong order", "twice", "end lost"],
)
def test_a_readme_without_its_markers_is_left_alone(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(Q2AError, match="once each, in this order"):
        write_results(path, "new")
    assert path.read_text() == text


def test_results_that_would_break_the_next_writing_are_refused(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    with pytest.raises(Q2AError, match="marker themselves"):
        write_results(path, f"new {END}")
    with pytest.raises(Q2AError, match="cannot be read"):
        write_results(tmp_path / "none.md", "new")


def test_a_disk_that_refuses_leaves_the_old_results(tmp_path, monkeypatch):
    path = tmp_path / "README.md"
    path.write_text(README)

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(Q2AError, match="No space left on device; it is unchanged"):
        write_results(path, "new")
    assert path.read_text() == README
    assert os.listdir(tmp_path) == ["README.md"]

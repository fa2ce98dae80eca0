"""Figures that the README writes into its sentences and its table of speed: each is what a file that ships holds."""

import json
from pathlib import Path
from typing import Any

from q2a_core import paths
from q2a_core.evaluation.metrics import FALSE_YES

ROOT = Path(__file__).resolve().parents[1]
TOLD = " ".join((ROOT / "README.md").read_text("utf-8").split())


def shipped(name: str) -> Any:
    return json.loads((ROOT / "data_samples" / name).read_text("utf-8"))


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def test_what_the_best_checkpoint_knows():
    about = json.loads((paths.shipped_checkpoint("mini") / "about.json").read_text("utf-8"))
    words = about["languages"]
    assert f"{words['English']} English words" in TOLD
    assert round(words["German"], -1) == round(words["Mandarin"], -1) == 90
    assert "some 90 German and 90 Mandarin ones" in TOLD
    assert len(about["sounds"]) == 24 + 6
    assert len(about["instruments"]) == 8
    assert "24 everyday sounds, six vocal sounds, eight instruments" in TOLD


def test_what_it_makes_of_the_smaller_sets_of_recordings():
    report = shipped("recordings.json")
    accuracy = {
        row["language"]: row["score"] for row in report["rows"] if row["metric"] == "word accuracy"
    }
    right = {lang: round(score["value"] * score["n"]) for lang, score in accuracy.items()}
    assert accuracy["de"]["n"] == accuracy["zh"]["n"] == 10
    assert f"{right['de']} of 10 German digits and {right['zh']} of 10 Mandarin ones" in TOLD
    rows = report["collections"]["environment"]["rows"]
    named = {row["suite"]: row["score"] for row in rows if row["metric"] == "accuracy"}
    sounds, sneezes = named["sound"], named["vocal"]
    assert f"{percent(sounds['value'])} of {sounds['n']} dogs, rains, clocks and roosters" in TOLD
    assert f"{percent(sneezes['value'])} of {sneezes['n']} sneezes" in TOLD


def test_what_preferences_changed():
    def rows(name: str) -> dict[str, Any]:
        return {row["metric"]: row for row in shipped(f"checkpoints/{name}/results.json")["rows"]}

    before, after = rows("mini-sft")[FALSE_YES], rows("mini-dpo")[FALSE_YES]
    counts = f"yes in {len(after['hits'])} of {after['score']['n']} questions (before in"
    assert f"{counts} {len(before['hits'])})" in TOLD
    modes = [
        row["score"]["value"]
        for row in shipped("checkpoints/mini-dpo/results.json")["rows"]
        if row["suite"] == "mode: kind of reply"
    ]
    assert f"keeps the two modes apart as well ({percent(modes[0])})" in TOLD


def test_how_fast_it_is_on_two_cores():
    ratio = {row["name"]: row["ratio"] for row in shipped("bench.json")["rows"]}
    said = "; ".join(f"{ratio[name]:.1f}" for name in ("first_token", "decode", "train"))
    assert f"log-mel | {said}; {ratio['mel_3s']:.0f} |" in TOLD


def test_how_fast_it_is_on_a_gpu():
    bench = shipped("bench_gpu.json")
    contenders = {row["what"]: row["contenders"] for row in bench["attention"]["rows"]}

    def ratio(what: str, other: str, how: str = "forward") -> str:
        sides = contenders[what]
        return f"{sides[f'sdpa {other}'][how]['seconds'] / sides['q2a triton'][how]['seconds']:.2f}"

    encoder = "encoder: 8 x 20 heads of 64, 1500 bidirectional"
    decoder = [
        f"decoder: {8192 // length} x 32 heads of 128, {length} causal"
        for length in (1024, 2048, 4096, 8192)
    ]
    for said in (
        f"its cuDNN | {ratio(encoder, 'flash')}; {ratio(encoder, 'cudnn')} |",
        f"beside flash | {'; '.join(ratio(what, 'flash') for what in decoder)} |",
        f"beside cuDNN | {'; '.join(ratio(what, 'cudnn') for what in decoder)} |",
        f"beside flash | {ratio(encoder, 'flash', 'forward_backward')}; "
        f"{ratio(decoder[2], 'flash', 'forward_backward')} |",
        f"takes a mask | {float(ratio(f'{encoder}, 10-100 % long', 'cudnn')):.1f} |",
    ):
        assert said in TOLD
    eager, static = (row["ratio"] for row in bench["large"]["rows"])
    assert f"compiled static cache | {eager:.1f}; {static:.1f} |" in TOLD
    assert f"takes {percent(bench['large']['bandwidth']['share'])} of what reading" in TOLD

"""Below the player: the token budget of the chosen checkpoint, and the front-end lab."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from q2a_core import lengths

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"


@pytest.fixture
def page(workbench) -> AppTest:
    return AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=240).run()


def table(page: AppTest) -> dict[str, list[str]]:
    """The budget's rows by their names."""
    assert not page.exception
    assert not page.error
    [text] = [line.value for line in page.markdown if "placeholders" in line.value]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
    return {name: [cell.strip("*") for cell in cells] for name, *cells in rows}


def test_budget_counts_the_clip_and_any_length(page, tiny_model):
    page.slider(key="budget_seconds").set_value(7.5).run()
    rows = table(page)
    clip = round(0.6 * lengths.SAMPLE_RATE)
    assert rows["seconds"] == ["0.60", "7.50"]
    assert rows["samples, 16,000 a second"] == [f"{clip:,}", "120,000"]
    assert rows["placeholders in the prompt"] == [str(lengths.tokens_of_samples(clip)), "187"]
    decoder = tiny_model.config.decoder
    one = 2 * decoder.num_layers * decoder.num_kv_heads * decoder.head_dim * 4
    assert rows["keys and values in memory"][1] == f"{187 * one / 1024:.1f} KiB"
    assert rows["pieces"] == ["1", "2"], "the tiny model hears 5 s at once"
    page.selectbox(key="sample").set_value("tone").run()
    assert table(page)["seconds"] == ["1.60", "7.50"]


def test_budget_needs_no_clip_and_no_model(page):
    page.segmented_control(key="clip_source").set_value("Upload").run()
    assert table(page)["seconds"] == ["30.00"]
    other = page.selectbox(key="checkpoint").options[-1]
    page.selectbox(key="checkpoint").set_value(other).run()
    assert not page.error
    assert any("appears once its config can be read" in line.value for line in page.caption)


def lab_player(page: AppTest) -> dict | None:
    """What the lab's player was given."""
    players = [json.loads(e.proto.bytes) for e in page.get("bidi_component") if e.proto.bytes]
    return next((data for data in players if "resynthesised" in data["name"]), None)


def test_lab_plays_what_other_settings_leave(page):
    assert lab_player(page) is None, "computed only when it is looked at"
    page.segmented_control(key="closer").set_value("Front-end lab").run()
    assert not page.error
    usual = lab_player(page)
    assert usual
    assert (usual["mel"]["bins"], usual["mel"]["frames"]) == (128, 60)
    page.select_slider(key="lab_mels").set_value(16).run()
    page.select_slider(key="lab_hop").set_value(320).run()
    found = lab_player(page)
    assert found
    assert (found["mel"]["bins"], found["mel"]["frames"]) == (16, 30)
    assert found["pcm"] != usual["pcm"]
    assert any("**30 frames of 16 bands, 7 audio tokens**" in line.value for line in page.markdown)
    page.button(key="lab_reset").click().run()
    assert lab_player(page) == usual


def test_lab_says_why_a_hop_cannot_be(page):
    page.segmented_control(key="closer").set_value("Front-end lab").run()
    page.select_slider(key="lab_hop").set_value(640).run()
    [error] = page.error
    assert "leaves gaps between windows" in error.value
    assert not page.exception
    page.button(key="lab_reset").click().run()
    assert not page.error


def test_lab_waits_for_a_clip(page):
    page.segmented_control(key="clip_source").set_value("Upload").run()
    page.segmented_control(key="closer").set_value("Front-end lab").run()
    assert any("Once there is a clip you hear" in line.value for line in page.caption)


def test_the_tour_opens_what_it_explains(page):
    import tour

    page.button(key="tour").click().run()
    for number, stop in enumerate(tour.stops()):
        assert not page.exception
        assert not page.error
        assert any(
            f"tour, {number + 1} of {len(tour.STOPS)}" in line.value for line in page.caption
        )
        assert any(line.value.startswith(f"**{stop.title}**") for line in page.markdown)
        kept = page.session_state["session"].settings
        assert all(kept[key].value == value for key, value in stop.settings.items())
        if stop.token is not None:
            [player] = [json.loads(e.proto.bytes) for e in page.get("bidi_component")]
            assert player["tokens"]["token"] == stop.token
        if stop.settings.get("closer") == "Front-end lab":
            assert lab_player(page)
        assert page.title[0].value == stop.page
        assert f"st-key-{stop.key}" in "".join(e.proto.body for e in page.get("html"))
        if not page.button(key="tour_next").disabled:
            page.button(key="tour_next").click().run()
    assert {stop.page for stop in tour.stops()} == {
        path.stem.capitalize() for path in tour.PAGES.glob("*.py")
    }
    page.button(key="tour_end").click().run()
    assert page.button(key="tour")

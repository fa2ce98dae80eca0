"""What is written and drawn stands out from what is behind it, in both themes (WCAG 2: text 4.5 to 1, marks 3 to 1)."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import real_browser
from q2a_core.audio import load_waveform
from q2a_core.evaluation.scoreboard import Board, BoardRow, Cell, Report
from q2a_core.inspection import player_html, view_clip
from q2a_core.inspection.player import SKELETON, player_css

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
THEMES = tomllib.loads((WORKBENCH / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
WHITE = "#ffffff"
CAPTION = 0.6
"""Opacity of Streamlit's captions."""
TINT = 0.1
"""Opacity of the primary colour behind what is chosen of a segmented control."""
TEXT, MARK = 4.5, 3.0
COLOURS = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"


def channels(colour: str) -> list[float]:
    return [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]


def over(front: str, back: str, opacity: float) -> str:
    pairs = zip(channels(front), channels(back), strict=True)
    return "#" + "".join(f"{round(255 * (opacity * a + (1 - opacity) * b)):02x}" for a, b in pairs)


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", WHITE) == pytest.approx(21)
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_in_the_primary_colour_and_on_it(workbench, name):
    import theme

    colours = THEMES[name]
    primary, back = colours["primaryColor"], colours["backgroundColor"]
    for behind in (back, colours["secondaryBackgroundColor"]):
        assert contrast(primary, behind) >= TEXT
        assert contrast(over(colours["textColor"], behind, CAPTION), behind) >= TEXT
    assert contrast(primary, over(primary, back, TINT)) >= TEXT
    assert contrast(WHITE, primary) >= MARK, "the knob of a switch"
    on_it = dict(zip(("light", "dark"), re.findall(r"#\w{6}", theme.STYLE), strict=True))
    assert on_it[name] == back, "what components take for it"
    assert contrast(on_it[name], primary) >= TEXT


@pytest.mark.parametrize("name", ["light", "dark"])
def test_bars_and_marks(workbench, name):
    import bars

    text, back = THEMES[name]["textColor"], THEMES[name]["backgroundColor"]
    track = over("#808a8c", back, 0.16)
    assert "rgba(128, 138, 140, 0.16)" in bars.STYLE
    for ours in bars.COLOURS[:2]:
        assert contrast(ours, track) >= MARK
    for colour in bars.COLOURS:
        assert contrast(text, over(colour, track, 0.4)) >= MARK, "a mark on its own band"


def board() -> str:
    import bars

    cells = [
        Cell(value=value, low=0.01, high=0.04, n=100, control=1.339) for value in (0.022, 0.031)
    ]
    row = BoardRow(suite="recognition", metric="WER", cells=tuple(cells), paper=("", "", ""))
    reports = tuple(Report(name=name, hash="a", values={}) for name in ("mini", "mini-pretrain"))
    return bars.interval_chart(Board(book="b", reports=reports, rows=(row,)), (row,))


@pytest.mark.browser
def test_lines_share_their_columns_and_leave_room_for_the_bars(workbench, visit):
    visit.set_content(f'<div style="width:560px;font-family:sans-serif">{board()}</div>')
    boxes = [track.bounding_box() for track in visit.locator(".q2a-track").all()]
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    assert boxes[0]["width"] > 180
    mark = visit.locator(".q2a-mark").first
    assert mark.evaluate("e => getComputedStyle(e).color") == "rgb(0, 0, 0)", "the text's own"
    visit.set_content(f'<div style="width:360px">{board()}</div>')
    assert visit.locator(".q2a-track").first.bounding_box()["width"] == pytest.approx(360)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["light", "dark"])
def test_streamlit_takes_the_colours(visit, address, name):
    visit.emulate_media(color_scheme=name)
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    colours = THEMES[name]
    for selector in ('[data-testid="stBaseButton-primary"]', ".q2a-player .toggle"):
        button = visit.locator(selector).first
        found = [hexed(colour) for colour in button.evaluate(COLOURS)]
        assert found == [colours["backgroundColor"], colours["primaryColor"]]
        button.hover()
        visit.wait_for_timeout(600)  # the colour turns slowly
        assert contrast(*map(hexed, button.evaluate(COLOURS))) >= TEXT


def hexed(colour: str) -> str:
    return "#" + "".join(f"{int(c):02x}" for c in re.findall(r"\d+", colour)[:3])


@pytest.fixture(scope="module")
def bars_alone(tmp_path_factory):
    """Where a page with one chart is served."""
    folder = tmp_path_factory.mktemp("bars")
    app = f"""
import sys
sys.path.insert(0, {str(WORKBENCH)!r})
import curves
curves.bars(["one", "two"], [0.5, 0.25], title="Change of *x*", key="bars", alt="two bars")
"""
    (folder / "app.py").write_text(app, "utf-8")
    with real_browser.serving(folder / "log.txt", app=folder / "app.py") as address:
        yield address


@pytest.mark.browser
@pytest.mark.parametrize("name", ["light", "dark"])
def test_a_charts_words_have_the_colour_of_the_pages(visit, bars_alone, name):
    visit.emulate_media(color_scheme=name)
    visit.goto(bars_alone)
    visit.locator("svg text").first.wait_for()
    page = visit.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).color")
    words = visit.locator("svg text").evaluate_all("all => all.map(e => getComputedStyle(e).fill)")
    assert {*words} == {page}
    assert visit.get_by_text("Change of *x*.").count() == 1


@pytest.mark.browser
def test_a_page_link_that_has_the_keyboard_has_a_ring(visit, address):
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    link = visit.get_by_role("link", name="Modes")
    ring = "e => getComputedStyle(e).outlineStyle"
    visit.get_by_role("link", name="Attention").focus()
    assert link.evaluate(ring) == "none"
    visit.keyboard.press("Tab")
    assert link.evaluate("e => e === document.activeElement")
    assert link.evaluate(ring) == "solid"


def player_page() -> str:
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, 64_000).astype(np.float32)
    return player_html(view_clip(load_waveform(samples, sample_rate=16_000)), samples, name="noise")


@pytest.mark.browser
@pytest.mark.parametrize("name", ["light", "dark"])
def test_a_contrast_theme_leaves_what_is_drawn(workbench, visit, name):
    import theme

    visit.emulate_media(forced_colors="active", color_scheme=name)
    radio = '<div class="stApp"><button role="radio" aria-checked="true">Samples</button></div>'
    visit.set_content(player_page() + board() + theme.STYLE + radio)
    visit.locator(".row.tokens").click(position={"x": 100, "y": 10})
    visit.get_by_role("button", name="Repeat").click()
    behind = {"light": WHITE, "dark": "#000000"}[name]
    for drawn in (".wave .playhead", ".now", ".q2a-band > span", "[role=radio]"):
        _, colour = visit.locator(drawn).first.evaluate(COLOURS)
        assert contrast(hexed(colour), behind) >= 1.5, drawn
    for button in (".bar .loop", ".bar .toggle"):
        assert contrast(*map(hexed, visit.locator(button).evaluate(COLOURS))) >= TEXT


@pytest.mark.browser
def test_in_a_dark_notebook_the_player_takes_its_colours(visit):
    pytest.importorskip("anywidget")
    from q2a_core.teaching.widgets.live_player import SHOWN_WORDS

    visit.set_content('<div id="cell" style="--jp-content-font-color1: rgb(250, 250, 250)"></div>')
    inside = f"<style>{player_css()}{SHOWN_WORDS}</style>{SKELETON}"
    visit.locator("#cell").evaluate(
        "(cell, inside) => { cell.attachShadow({ mode: 'open' }).innerHTML = inside; }", inside
    )
    assert hexed(visit.locator(".q2a-player").evaluate("e => getComputedStyle(e).color")) == (
        "#fafafa"
    )


@pytest.mark.browser
def test_at_320_pixels_all_the_player_says_is_there(visit):
    visit.set_viewport_size({"width": 320, "height": 800})
    visit.set_content(player_page())
    visit.locator(".row.tokens").click(position={"x": 100, "y": 10})
    visit.locator(".bracket.context").wait_for()
    for words in (".row-title", ".clock", ".bracket span"):
        for box in visit.locator(words).all():
            assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), words
            assert box.bounding_box()["x"] + box.bounding_box()["width"] <= 321, words


@pytest.mark.browser
def test_a_wide_table_does_not_move_the_page(visit, address):
    visit.set_viewport_size({"width": 390, "height": 800})
    visit.goto(address)
    visit.locator("table").first.wait_for()
    visit.locator("table").first.evaluate("e => { e.style.width = '900px'; }")
    # once the page's own style has come, and its pieces have found their place
    fits = "e => e.scrollWidth <= e.clientWidth"
    visit.wait_for_function(f"({fits})(document.querySelector('[data-testid=stMain]'))")
    assert visit.locator("table").first.evaluate("e => e.parentElement.scrollWidth >= 900")

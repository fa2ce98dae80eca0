"""The workbench in a real browser without a network: the player, the dialogue, and what a visitor never sees."""

import math
import re

import numpy as np
import pytest

import real_browser
from q2a_core import lengths, paths
from q2a_core.audio import load_waveform
from q2a_core.inspection import player_html, view_clip

pytestmark = pytest.mark.browser
PATIENCE = 60_000  # ms; nothing here is a matter of speed
LISTEN = """root => {
  root.seen = [];
  root.addEventListener("q2a-time", (event) => root.seen.push([event.detail.seconds, event.detail.token]));
}"""

LOUDEST = """() => {
  context ??= new AudioContext();
  const sound = document.querySelector(".q2a-player").q2aPlayer.sound.makeBuffer();
  return Math.max(...sound.getChannelData(0).map(Math.abs));
}"""


def position(page) -> tuple[float, int]:
    data = page.locator(".q2a-player").evaluate("e => [e.dataset.seconds, e.dataset.token]")
    return float(data[0]), int(data[1])


def check_player(page, seconds: float) -> None:
    """Sound, keys, pointer and words of a player on the page."""
    page.wait_for_selector(".q2a-player canvas")
    plot = page.get_by_role("slider", name="Position in")
    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert position(page) == (0.08, 2)
    assert plot.get_attribute("aria-valuetext") == "0.08 s, mel frame 8, audio token 2"
    page.keyboard.press("End")
    assert position(page)[0] == pytest.approx(seconds, abs=1e-3)
    page.keyboard.press("Home")
    page.locator(".q2a-player").evaluate(LISTEN)
    page.keyboard.press("Space")
    until(page, lambda: position(page)[0] >= seconds - 0.01)
    seen = page.locator(".q2a-player").evaluate("root => root.seen")
    assert seen == sorted(seen), "the playhead never goes back"
    assert len({moment for moment, _ in seen}) > 1, "and it moves"
    for moment, token in seen:
        assert token in {math.floor((moment + slack) / 0.04) for slack in (-1e-5, 1e-5)}
    page.get_by_role("button", name="Play", exact=True).wait_for()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert position(page)[0] == pytest.approx(seconds / 2, abs=0.02)
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert "mel bin" in page.locator(".pointer").inner_text()
    check_pieces(page, seconds)
    picture = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    assert page.locator("canvas").evaluate(picture) > 20, "the log-mel is painted"


def check_pieces(page, seconds: float) -> None:
    """A click on a token or a mel frame sounds, and its brackets are those of the arithmetic."""
    samples = round(seconds * lengths.SAMPLE_RATE)
    click_row(page, ".tokens", 5.5 * 0.04 / seconds)
    fields = (lengths.token_span(5), lengths.token_receptive_field(5), (0, samples))
    spans = [(start / lengths.SAMPLE_RATE, stop / lengths.SAMPLE_RATE) for start, stop in fields]
    assert brackets(page) == [
        (pytest.approx(a, abs=1e-4), pytest.approx(b, abs=1e-4)) for a, b in spans
    ]
    assert page.locator(".bracket[aria-pressed=true]").get_attribute("data-kind") == "field"
    silent(page)
    assert position(page)[0] == pytest.approx(5.5 * 0.04, abs=0.01), "a piece leaves the playhead"
    page.get_by_role("button", name="Repeat").click()
    page.locator(".bracket.stride").click()
    page.wait_for_timeout(700)
    assert page.locator(".q2a-player").get_attribute("data-piece") == "stride", "it repeats"
    page.get_by_role("button", name="Repeat").click()
    silent(page)
    page.get_by_role("slider", name="Position in").focus()
    page.keyboard.press("3")
    assert page.locator(".bracket[aria-pressed=true]").get_attribute("data-kind") == "context"
    page.keyboard.press("Home")
    silent(page)
    click_row(page, ".mel", 0.205 / seconds)
    assert [round(1000 * (b - a)) for a, b in brackets(page)[:2]] == [10, 25]
    assert "loudest bin" in page.locator(".bracket.context").inner_text()


def click_row(page, row: str, share: float) -> None:
    box = page.locator(f".row{row}").bounding_box()
    page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def brackets(page) -> list[tuple[float, float]]:
    spans = "all => all.map(e => [Number(e.dataset.start), Number(e.dataset.stop)])"
    return [tuple(span) for span in page.locator(".bracket").evaluate_all(spans)]


def until(page, holds) -> None:
    for _ in range(PATIENCE // 20):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it never came to that")


def silent(page) -> None:
    """Wait until no piece sounds."""
    page.locator('.q2a-player[data-piece=""]').wait_for()


def choose_sample(visit, name: str) -> None:
    """Pick a clip; a run of the page that ends meanwhile closes the open list, and a person opens it again."""
    from playwright.sync_api import TimeoutError as Late

    for _ in range(6):
        visit.get_by_role("combobox", name="Sample").click()
        try:
            visit.get_by_role("option", name=name).click(timeout=10_000)
            return
        except Late:
            visit.keyboard.press("Escape")
    raise AssertionError(f"the list never stayed open for {name}")


def test_player_in_a_document_of_its_own(visit):
    rng = np.random.default_rng(0)
    waveform = load_waveform(rng.uniform(-0.2, 0.2, 16_000).astype(np.float32), sample_rate=16_000)
    name = "<img src=http://evil.example/x.png>"
    visit.set_content(player_html(view_clip(waveform), waveform.samples, name=name))
    check_player(visit, 1.0)


@pytest.mark.parametrize(
    ("seconds", "level", "ticks", "axis"),
    [
        (2.0, 0.25, ["+0.25", "−0.25"], "0.1 s"),
        (2.0, 4.16, ["+4.16", "−4.16"], "0.1 s"),
        (2.0, 0.0042, ["+0.0042", "−0.0042"], "0.1 s"),
        (0.5, 8.1e-5, ["+8.1e-5", "−8.1e-5"], "0.05 s"),
        (0.5, 0.0, [], "0.05 s"),
        (0.04, 0.25, ["+0.25", "−0.25"], "0.01 s"),
    ],
)
def test_the_player_s_scales(visit, seconds, level, ticks, axis):
    tone = np.sin(np.arange(round(seconds * 16_000)) * 0.7)
    samples = (level * tone / np.abs(tone).max()).astype(np.float32)
    samples[7] = -level  # the one largest sample lies below zero
    samples[8:] *= 0.8
    view = view_clip(load_waveform(samples, sample_rate=16_000))
    visit.set_content(player_html(view, samples, name="tone.wav"))
    assert visit.locator(".wave .tick-y").all_inner_texts() == ["0", *ticks]
    assert visit.locator(".axis span").all_inner_texts()[1] == axis
    said = visit.locator(".wave-title").inner_text()
    assert ("played 4.16 times softer: beyond full scale" in said) == (level > 1)
    heard = visit.evaluate(LOUDEST)
    assert heard == pytest.approx(min(level, 1), rel=1e-3), "scaled down, and never up"


def test_player_on_the_page(visit, address):
    visit.goto(address)
    check_player(visit, 0.6)


def test_a_question_while_the_sound_plays(visit, address):
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    choose_sample(visit, "long noise")
    visit.get_by_role("slider", name="Position in long.wav").wait_for()
    visit.get_by_role("button", name="Play", exact=True).click()
    visit.get_by_test_id("stChatInputTextArea").fill("What do you hear?")
    visit.keyboard.press("Enter")
    before = position(visit)[0]
    visit.get_by_text("This clip lasts 6 s; the model hears 5 s at once").wait_for()
    assert position(visit)[0] >= before, "a rerun does not touch the sound"
    choose_sample(visit, "a tone")
    visit.get_by_role("slider", name="Position in tone.wav").wait_for()
    assert position(visit) == (0.0, 0)
    visit.get_by_role("button", name="What is this sound?").click()
    visit.get_by_text("first token").wait_for()
    assert visit.get_by_text("greedy, at most 12 tokens").count() == 1
    visit.get_by_text("is ready").wait_for()
    visit.get_by_role("button", name="New chat").click()
    visit.get_by_text("Ask it yourself below").wait_for()


@pytest.mark.parametrize(
    "question",
    [
        "see https://evil.example/x, www.evil.example and a@b.example",
        "a -> b <- c -- d >= e <= f ~= g <-> h",
        "first\n\n    then",
        ":smile: :material/home: :red[x] $x$ <b>b</b> [l](http://x) - *a* 1:2",
    ],
    ids=["addresses", "arrows", "indented", "markdown"],
)
def test_a_question_is_shown_as_it_was_typed(visit, address, question):
    visit.goto(address)
    visit.get_by_text("is ready").wait_for()
    visit.get_by_test_id("stChatInputTextArea").fill(question)
    visit.keyboard.press("Enter")
    visit.get_by_text("first token").wait_for()
    shown = visit.get_by_test_id("stChatMessage").first.get_by_test_id("stMarkdownContainer").last
    shown.filter(has_text=re.compile(r"\S")).wait_for()  # it is there before its text is
    text = shown.inner_text().replace("\u2060", "").replace("\u00a0", " ")
    assert text == question
    assert shown.locator("a, code, strong, em, span, img").count() == 0


def test_a_link_shows_its_token_and_follows_the_next(visit, address):
    visit.goto(f"{address}/?clip=tone&token=5&layer=no")
    visit.get_by_role("slider", name="Position in tone.wav").wait_for()
    visit.locator(".bracket.stride").wait_for()
    assert position(visit) == (0.2, 5)
    visit.get_by_text("This link asks for layer “no”").wait_for()
    click_row(visit, ".tokens", 8.5 * 0.04 / 1.6)
    visit.wait_for_url("**token=8**")
    silent(visit)
    visit.reload()
    visit.locator(".bracket.stride").wait_for()
    assert position(visit)[1] == 8
    choose_sample(visit, "long noise")
    visit.wait_for_url("**clip=long**")
    assert "token" not in visit.url
    visit.go_back()
    visit.get_by_role("slider", name="Position in tone.wav").wait_for()


@pytest.mark.parametrize(("width", "is_stacked"), [(1024, True), (1440, False)])
def test_attention_has_room_for_its_pictures(visit, address, width, is_stacked):
    visit.set_viewport_size({"width": width, "height": 900})
    visit.goto(f"{address}/attention")
    visit.get_by_text("Reply:").wait_for()
    visit.get_by_text("random ranges of the same width").wait_for()
    maps, edit = (
        visit.locator(f".st-key-attention_{name}").bounding_box() for name in ("pictures", "edit")
    )
    assert (edit["y"] >= maps["y"] + maps["height"]) == is_stacked
    assert visit.locator(".q2a-player .plot").bounding_box()["width"] > 350
    for name in ("What the reply reads", "Is it needed?"):
        chosen = visit.get_by_role("radio", name=name)
        others = chosen.locator("xpath=..").get_by_role("radio").all()
        assert len({other.bounding_box()["y"] for other in others}) == 1, "one row"


DRAWING = """
import sys
sys.path.insert(0, {workbench!r})
from vector import draw_svg
draw_svg('<svg role="img" aria-label="a drawing" viewBox="0 0 640 250" style="width:100%"><rect width="9" height="9" '
         'fill="currentColor"/></svg>', key="drawing")
"""


def test_a_drawing_has_a_size_and_the_pages_colour(visit, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(DRAWING.format(workbench=str(paths.workbench())), "utf-8")
    with real_browser.serving(tmp_path / "log.txt", app=app) as address:
        visit.goto(address)
        drawing = visit.get_by_role("img", name="a drawing")
        drawing.wait_for()
        box = drawing.bounding_box()
        assert box["width"] > 300
        assert box["height"] == pytest.approx(box["width"] * 250 / 640, abs=2)
        colour = "e => getComputedStyle(e).color"
        assert drawing.evaluate(colour) == visit.get_by_test_id("stApp").evaluate(colour)
        visit.goto("about:blank")  # or the page would tell that its server has gone


def test_the_front_end_lab_plays(visit, address):
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_text("Front-end lab").click()
    lab = visit.get_by_role("slider", name="Position in noise.wav, resynthesised")
    lab.wait_for(timeout=4 * PATIENCE)  # librosa is imported now
    lab.focus()
    visit.keyboard.press("Space")
    players = visit.locator(".q2a-player")
    assert players.count() == 2
    end = "all => Number(all[1].dataset.seconds) > 0.5"
    until(visit, lambda: players.evaluate_all(end))


def test_uploads_and_the_microphone(visit, address, tmp_path):
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_text("Upload", exact=True).click()
    path = tmp_path / "![x](a) :material_home: :red[b] $c$ *d*.wav"
    path.write_bytes(b"%PDF-1.7 no sound at all")
    visit.locator("input[type=file]").set_input_files(path)
    visit.get_by_text("a PDF document").wait_for()
    sentence = visit.get_by_role("alert").inner_text().replace("\u2060", "")
    assert sentence.startswith(path.name), "the name is shown as it is"
    visit.get_by_text("Record", exact=True).click()
    visit.get_by_role("button", name="Record", exact=True).click()
    visit.get_by_role("button", name="Stop recording").wait_for()
    visit.wait_for_timeout(700)
    visit.get_by_role("button", name="Stop recording").click()
    visit.get_by_role("slider", name="Position in your recording").wait_for()

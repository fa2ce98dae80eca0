"""The attention pictures in a real browser, without a server: one axis, keys, clicks, and what they tell."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from q2a_core.audio import load_waveform
from q2a_core.inspection import attention_views as views
from q2a_core.inspection import view_clip
from q2a_core.inspection.attention_widget import (
    ATTENTION_SKELETON,
    attention_css,
    attention_data,
    attention_js,
    cause_data,
    map_data,
    thumbs_data,
)
from q2a_core.inspection.case import open_case
from q2a_core.inspection.causes import causal_map
from q2a_core.inspection.player import player_data

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SENT = "mountAttention(document.querySelector('.q2a-attention'), window.data, (...m) => window.sent.push(m));"


@pytest.fixture(scope="module")
def waveform():
    rng = np.random.default_rng(0)
    return load_waveform(rng.uniform(-0.2, 0.2, 16_000).astype(np.float32), sample_rate=16_000)


@pytest.fixture(scope="module")
def case(waveform, tiny_checkpoint):
    from q2a_core.inference import AudioChat

    chat = AudioChat.from_pretrained(tiny_checkpoint)
    return open_case(chat, waveform, "What is this sound?")


def shown(case, waveform, part: str, *, name: str = "a clip") -> dict:
    """One part's pictures; one word is named as no word should be."""
    weights = views.one_map(case, part, 1)[:25, :25]
    labels = [word.text for word in case.words] if part == "decoder" else None
    if labels:
        labels[0] = "<img src=http://evil.example/x.png>"
    causes = causal_map(case, fill="zero", rng=np.random.default_rng(0))
    return attention_data(
        player_data(view_clip(waveform), waveform.samples, name=name),
        chosen=(1, None),
        span=(5, 10),
        thumbs=thumbs_data(views.overview(case, part)),
        map_=map_data(views.picture(weights), gamma=views.GAMMA, title=part, labels=labels),
        cause=cause_data(causes, title="needed?"),
    )


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).is_file():
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1000, "height": 1000})
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: line.type in ("error", "warning") and wrong.append(line.text))
    page.on("request", lambda request: wrong.append(request.url))
    yield page
    assert wrong == []
    page.close()


def open_maps(page) -> None:
    """Style, script and skeleton as Streamlit mounts them, in a document of their own."""
    page.set_content(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>attention</title>'
        f"<style>body{{margin:8px}}{attention_css()}</style></head>"
        f"<body>{ATTENTION_SKELETON}<script>{attention_js()}</script></body></html>"
    )


def mount(page, data: dict) -> None:
    """Mount, or hand new data to what is mounted, as a rerun does."""
    page.evaluate(f"data => {{ window.data = data; window.sent ??= []; {SENT} }}", data)


def sent(page) -> list:
    messages = page.evaluate("window.sent.splice(0)")
    return json.loads(json.dumps(messages))


def left_edges(page, *selectors: str) -> list[float]:
    return [page.locator(selector).bounding_box()["x"] for selector in selectors]


def test_words(page, case, waveform):
    data = shown(case, waveform, "decoder")
    open_maps(page)
    mount(page, data)
    edges = left_edges(page, ".plot", ".mel", ".lanes .reads", ".lanes .map", ".lanes .cause")
    assert max(edges) - min(edges) < 0.6, "all on one axis"
    title, highest = page.locator(".wave-title"), page.locator(".wave .tick-y").nth(1)
    end = title.bounding_box()["y"] + title.bounding_box()["height"]
    assert highest.bounding_box()["y"] >= end, "the scale keeps clear of the title"
    assert page.locator(".thumb").count() == 2 * 5
    page.set_viewport_size({"width": 320, "height": 1000})
    for caption in page.locator(".thumb small").all():
        assert caption.bounding_box()["height"] < 20, "one line"
        assert caption.evaluate("e => e.scrollWidth <= e.parentElement.clientWidth")
    page.set_viewport_size({"width": 1000, "height": 1000})
    assert (
        page.locator(".thumb[aria-pressed=true]")
        .get_attribute("aria-label")
        .startswith("Layer 2, mean of heads, entropy")
    )
    assert page.locator(".lanes img").count() == 0, "a word is text"
    assert page.locator(".reads-title").inner_text().startswith("the reply as a whole reads token")
    page.locator(".thumb").nth(3).click()
    assert sent(page) == [["chosen", [0, 2]]]
    page.keyboard.press("ArrowDown")
    assert sent(page) == [["chosen", [1, 2]]]
    box = page.locator(".lanes .map").bounding_box()
    rows = len(case.words)
    page.mouse.click(box["x"] + 50, box["y"] + box["height"] * 1.5 / rows)
    assert sent(page) == [["row", 1]]
    weights = views.one_map(case, "decoder", 1)[1]
    says = page.locator(".reads-title").inner_text()
    assert f"“{case.words[1].text}” reads token {weights.argmax()} most" in says
    mount(page, data | {"locked": 1})
    page.locator(".lanes .map").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert sent(page) == [["row", 2]]
    page.keyboard.press("Escape")
    assert sent(page) == [["row", -1]]
    lane = page.locator(".lanes .reads").bounding_box()
    token = lane["width"] / 25
    page.mouse.move(lane["x"] + 3.5 * token, lane["y"] + 20)
    page.mouse.down()
    page.mouse.move(lane["x"] + 7.5 * token, lane["y"] + 20, steps=3)
    page.mouse.up()
    assert sent(page) == [["range", [3, 8]]]
    page.locator(".lanes .cause").click(position={"x": 4.5 * token, "y": 4})
    assert sent(page) == [["cell", [0, 1]]]
    page.mouse.move(lane["x"] + 3.5 * token, lane["y"] + 20)
    assert "token 3, 0.12 s" in page.locator(".pointer").inner_text()
    page.locator(".row.tokens").click(position={"x": 8.5 * token, "y": 12})
    assert sent(page) == [["token", 8]], "for the address"


def test_the_encoder_follows_the_sound(page, case, waveform):
    data = shown(case, waveform, "encoder")
    open_maps(page)
    mount(page, data)
    page.get_by_role("slider", name="Position in").focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    weights = views.one_map(case, "encoder", 1)[7, :25]
    says = page.locator(".reads-title").inner_text()
    assert f"the token at 0.28 s reads token {weights.argmax()} most" in says
    heads = page.locator(".lanes .playhead").evaluate_all("all => all.map(e => e.style.left)")
    assert len(set(heads)) == 1
    assert heads[0] == f"{28}%"
    mount(page, data | {"locked": 2})
    page.get_by_role("slider", name="Position in").focus()
    page.keyboard.press("End")
    assert "the token at 0.08 s" in page.locator(".reads-title").inner_text()
    other = shown(case, waveform, "encoder", name="another clip")
    mount(page, other)
    assert page.locator(".lanes").count() == 1
    assert page.locator(".lanes .map").is_visible()
    mount(page, attention_data(other["player"]))
    assert not page.locator(".lanes .map").is_visible()
    assert not page.locator(".grid").is_visible()

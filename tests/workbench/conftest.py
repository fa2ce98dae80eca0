"""A gallery of three made-up clips with a tiny random checkpoint called mini, and the workbench on the module path."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit import config

import real_browser
from q2a_core import paths
from q2a_core.audio import write_wav
from q2a_core.checkpoint import save_checkpoint
from q2a_core.inspection import record_gallery

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
GALLERY = (
    "from pathlib import Path; from q2a_core import paths; paths.data_samples = lambda: Path({!r})"
)
PATIENCE = 60_000  # ms; nothing in the browser tests is a matter of speed
ABOUT = {
    "words": ["yes", "no", "left"],
    "sounds": ["dog", "bell"],
    "try": ["What is this sound?", "What does the person say?"],
    "trained_seconds": 1.0,
    "trained_on": "synthetic voices",
}
CLIPS = (
    {"file": "noise.wav", "seconds": 0.6, "label": "noise", "ask": "What is this *sound*?"},
    {"file": "tone.wav", "seconds": 1.6, "label": "a tone", "ask": None},
    {"file": "long.wav", "seconds": 6.0, "label": "long noise", "ask": None},
)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory, tiny_model, chat_format) -> Path:
    """A `data_samples` folder; the tiny model's window is 5 s."""
    root = tmp_path_factory.mktemp("data_samples")
    rng = np.random.default_rng(0)
    for line in CLIPS:
        time = np.arange(round(line["seconds"] * 16_000)) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * 440 * time)
        noise = rng.uniform(-0.3, 0.3, len(time))
        path = root / "clips" / line["file"]
        path.parent.mkdir(exist_ok=True)
        write_wav(path, (tone if "tone" in line["label"] else noise).astype(np.float32))
    lines = [
        json.dumps({"kind": "noise", "text": None, "answer": "noise"} | line) for line in CLIPS
    ]
    (root / "manifest.jsonl").write_text("\n".join(lines[:2]), "utf-8")
    save_checkpoint(
        tiny_model,
        root / "checkpoints" / "mini",
        chat_format=chat_format,
        generation_config={"max_new_tokens": 12},
        about=ABOUT,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "data_samples", lambda: root)
        list(record_gallery("mini"))
    (root / "manifest.jsonl").write_text("\n".join(lines), "utf-8")  # the last has no trace
    return root


@pytest.fixture(scope="module")
def workbench(gallery):
    """The app's folder on the module path, and its data replaced; models and pictures stay cached between tests."""
    collects = config.get_option("runner.postScriptGC")
    config.set_option("runner.postScriptGC", False)  # as in the workbench's own settings
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        # Streamlit makes the page that it runs `__main__`, which a process that a later test spawns would run again
        patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        patch.setattr(paths, "data_samples", lambda: gallery)
        patch.syspath_prepend(str(WORKBENCH))
        yield gallery
    config.set_option("runner.postScriptGC", collects)
    st.cache_data.clear()
    st.cache_resource.clear()
    for name in set(sys.modules) - before:
        if str(WORKBENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium with a fake microphone; skipped where there is none."""
    pytest.importorskip("playwright.sync_api")
    if not Path(real_browser.CHROMIUM).is_file():
        pytest.skip("chromium is not installed")
    with real_browser.launched() as browser:
        yield browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = item.funcargs.get("visit") if "visit" in item.fixturenames else None
    if page is not None and report.when == "call" and report.failed and not page.is_closed():
        # what the browser showed tells more than what it was waited for
        report.sections.append((f"the page at {page.url}", page.locator("body").inner_text()))
    return report


@pytest.fixture
def visit(browser):
    """A page that must neither speak to other hosts nor complain in the console."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    wrong = real_browser.watch(context, allowed=real_browser.BY_STREAMLIT)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def address(gallery, tmp_path_factory):
    """Where a workbench of its own process listens; its log must stay clean."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with real_browser.serving(log, patch=GALLERY.format(str(gallery))) as address:
        yield address
    assert real_browser.complaints(log) == []

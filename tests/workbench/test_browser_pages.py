"""Train, Preferences, the address, the tour and errors in a real browser; the trainer needs no model."""

import re
from pathlib import Path

import pytest

import real_browser
from q2a_core.checkpoint import save_checkpoint
from q2a_core.training.runs.presence import is_held

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PATIENCE = 60_000  # ms
TRAINER = Path(__file__).with_name("fake_trainer.py")
# the gallery of the tests, a checkpoint that training may begin from, and the trainer without a model
PATCH = """
from pathlib import Path
import sys as system
from q2a_core import paths
from q2a_core.training.runs import class_run, processes
paths.data_samples = lambda: Path({gallery!r})
class_run.is_trainable = lambda directory: True
spawn = processes.spawn
processes.spawn = lambda command, output: spawn([system.executable, {trainer!r}, *command[4:]], output)
"""


@pytest.fixture(scope="module")
def house(workbench, tiny_model, chat_format, tmp_path_factory):
    """A workbench whose gallery has a second checkpoint; its folder for runs and its log."""
    folder = tmp_path_factory.mktemp("house")
    about = {"stage": "pretrain", "words": ["yes"]}
    start = workbench / "checkpoints" / "mini-pretrain"
    save_checkpoint(tiny_model, start, chat_format=chat_format, about=about)
    patch = PATCH.format(gallery=str(workbench), trainer=str(TRAINER))
    log, home = folder / "log.txt", folder / "home"
    settings = {"Q2A_HOME": str(home), "FAKE_STEP_SECONDS": "0.2"}
    with real_browser.serving(log, patch=patch, environment=settings) as address:
        yield address, home
    for path in start.glob("*"):
        path.unlink()
    start.rmdir()
    assert real_browser.complaints(log) == []


def test_a_run_is_started_stopped_resumed_and_found_again(visit, house):
    address, home = house
    visit.goto(f"{address}/train")
    visit.get_by_text("Once a run is going you see its loss here").wait_for()
    visit.get_by_role("slider", name="Steps").focus()
    visit.keyboard.press("End")
    visit.get_by_role("button", name="Start", exact=True).click()
    visit.get_by_text(re.compile(r"loss after step \d+ of 600")).wait_for()
    visit.get_by_test_id("stVegaLiteChart").first.wait_for(state="attached")
    visit.get_by_role("button", name="Stop", exact=True).click()
    visit.get_by_text("stopped; Resume goes on where it stood").wait_for()
    [run] = (home / "runs").iterdir()
    for _ in range(100):  # saved it is; its process may still be on its way out
        if not is_held(run):
            break
        visit.wait_for_timeout(100)
    assert not is_held(run)
    stood = step(visit)
    visit.reload()  # as a closed tab that is opened again
    visit.get_by_text("stopped; Resume goes on where it stood").wait_for()
    visit.get_by_role("button", name="Resume").click()
    visit.get_by_role("button", name="Stop", exact=True).wait_for()
    visit.get_by_role("link", name="Listen").click()  # the run goes on without its page
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_role("link", name="Train").click()
    visit.get_by_role("button", name="Stop", exact=True).wait_for()
    for _ in range(600):  # a run that is stopped before its first step ends at once
        if step(visit) > stood:
            break
        visit.wait_for_timeout(100)
    visit.get_by_role("button", name="Stop", exact=True).click()
    visit.get_by_text("stopped; Resume goes on where it stood").wait_for()
    assert step(visit) > stood


def step(page) -> int:
    text = page.get_by_text(re.compile(r"loss after step \d+ of")).inner_text()
    return int(re.search(r"step (\d+) of", text)[1])


def test_a_bad_name_for_a_run_is_one_sentence(visit, house):
    address, home = house
    before = sorted((home / "runs").glob("*")) if (home / "runs").is_dir() else []
    visit.goto(f"{address}/train")
    box = visit.get_by_role("textbox", name="Name of the run")
    box.fill("../../etc")
    box.press("Enter")
    visit.get_by_role("button", name="Start", exact=True).click()
    visit.get_by_role("alert").get_by_text("is no name for a run").wait_for()
    after = sorted((home / "runs").glob("*")) if (home / "runs").is_dir() else []
    assert after == before


def test_a_recording_is_answered(visit, house):
    address, _ = house
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_text("Record", exact=True).click()
    visit.get_by_role("button", name="Record", exact=True).click()
    visit.get_by_role("button", name="Stop recording").wait_for()
    visit.wait_for_timeout(900)
    visit.get_by_role("button", name="Stop recording").click()
    visit.get_by_role("slider", name="Position in your recording").wait_for()
    visit.get_by_role("button", name="Clip alone").click()
    visit.get_by_text("first token").wait_for()
    visit.get_by_role("link", name="Attention").click()
    visit.get_by_role("slider", name="Position in your recording").wait_for()


def test_a_wrong_checkpoint_is_one_sentence_and_can_be_left(visit, house):
    address, _ = house
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_text("is ready").wait_for()
    box = visit.get_by_role("combobox", name="Checkpoint")
    box.click()
    visit.get_by_role("option", name="a directory or hub id").click()
    path = visit.get_by_role("textbox", name="Directory or hub id")
    path.fill("/nowhere/at/all")
    path.press("Enter")
    visit.get_by_role("alert").get_by_text("/nowhere/at/all").wait_for()
    assert visit.get_by_text("Traceback").count() == 0
    box.click()
    visit.get_by_role("option", name="mini", exact=True).click()
    visit.get_by_text("is ready").wait_for()


def test_the_tour_walks_over_all_pages(visit, house):
    address, _ = house
    visit.goto(address)
    visit.wait_for_selector(".q2a-player canvas")
    visit.get_by_role("button", name="Guided tour").click()
    seen = []
    for _ in range(40):
        card = visit.locator(".st-key-tour_card")
        where = card.get_by_text(f"Guided tour, {len(seen) + 1} of")
        last = int(where.inner_text().split()[-1])
        seen.append(visit.locator("h1").first.inner_text())
        on = visit.get_by_role("button", name="Next", exact=True).first
        if len(seen) == last:
            visit.locator(".st-key-tour_next button[disabled]").wait_for()
            break
        on.click(timeout=3 * PATIENCE)  # a page that is still drawing moves the button
    pages = ["Listen", "Attention", "Modes", "Stages", "Train", "Preferences", "Scoreboard"]
    assert list(dict.fromkeys(seen)) == [*pages, "Kernel"]
    outline = "e => getComputedStyle(e).outlineStyle"
    assert visit.locator(".st-key-kernel_view").evaluate(outline) == "solid"

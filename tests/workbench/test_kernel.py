"""The page Kernel, driven without a browser: knobs, steps, padding, and the search for the bug."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from q2a_core import AudioChat, lengths, load_waveform
from q2a_core.audio import wav_bytes
from q2a_core.inspection.bug_hunt import planted
from q2a_core.inspection.flash_clip import encoder_inputs, head_tensors, run_head
from q2a_core.inspection.flash_steps import FAULTS

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PATIENCE = 240  # seconds; nothing here is a matter of speed


def opened(**parameters) -> AppTest:
    page = AppTest.from_file(str(WORKBENCH / "app_pages" / "kernel.py"), default_timeout=PATIENCE)
    for name, value in parameters.items():
        page.query_params[name] = value
    return page.run()


def ready(page: AppTest) -> AppTest:
    """The page once its model is there."""
    session = page.session_state["session"]
    session.has_painted = True
    session.load().future.result()
    return page.run()


@pytest.fixture
def page(workbench) -> AppTest:
    return ready(opened())


def shown(page: AppTest) -> str:
    assert not page.exception, page.exception
    assert not page.error, page.error
    kinds = (page.title, page.caption, page.markdown, page.success, page.warning, page.info)
    text = "\n".join(element.value for kind in kinds for element in kind)
    pictures = [each for image in page.get("imgs") for each in image.proto.imgs]
    assert all(each.alt for each in pictures), "a picture is told in words too"
    captions = [each.caption for each in pictures]
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join([text, *captions]))
    return text.replace("\u2060", "")


def knob(page: AppTest, key: str, value) -> AppTest:
    return page.select_slider(key=key).set_value(value).run()


def hunting(page: AppTest, seed: int) -> AppTest:
    page.segmented_control(key="kernel_part").set_value("Find the bug").run()
    return page.number_input(key="bug_seed").set_value(seed).run()


def seed_of(fault: str) -> int:
    return next(seed for seed in range(99) if planted(seed) == fault)


def test_it_opens_without_torch_and_says_what_comes(workbench):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(workbench)!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(WORKBENCH / "app_pages" / "kernel.py")!r}, default_timeout={PATIENCE}).run()
assert not page.exception and not page.error
assert any("queries, keys and values" in caption.value for caption in page.caption)
print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_numbers_are_the_cores(page, workbench):
    text = shown(page)
    chat = AudioChat.from_pretrained("mini")
    samples = load_waveform(workbench / "clips" / "noise.wav").samples
    inputs = encoder_inputs(chat.model, samples)
    tensors = head_tensors(chat.model, inputs, layer=0, head=0)
    tile = page.select_slider(key="kernel_tile").value
    found = run_head(*tensors, length=inputs.length, tile=tile)
    assert f"largest difference to the reference {found.difference:.1e}" in text
    assert f"All {len(found.run.steps)} tiles" in text
    assert f"The whole map has {inputs.places**2:,} weights" in text
    assert "The first keys: nothing was kept before" in text
    assert chat.checkpoint.hash in text


def test_steps_walk_and_the_row_has_numbers(page):
    tiles = int(re.search(r"All (\d+) tiles", shown(page)).group(1))
    assert page.button(key="kernel_step_back").disabled
    page.button(key="kernel_step_on").click().run()
    assert page.select_slider(key="kernel_step").value == 1
    assert "| maximum | none yet |" not in shown(page)
    knob(page, "kernel_step", tiles - 1)
    assert re.search(
        r"off by at most \S+: the last keys have passed, these rows are done", shown(page)
    )
    assert page.button(key="kernel_step_on").disabled
    knob(page, "kernel_row", 1)
    knob(page, "kernel_layer", 1)
    knob(page, "kernel_head", 1)
    assert page.query_params["layer"] == "1"
    assert page.query_params["head"] == "1"
    assert "reference" in shown(page)


def test_a_clip_of_one_tile(page):
    page.segmented_control(key="clip_source").set_value("Upload").run()
    data = wav_bytes(np.full(640, 0.1, np.float32))
    page.file_uploader(key="upload").set_value(("click.wav", data, "audio/wav")).run()
    text = shown(page)
    assert "**One tile: largest difference to the reference" in text
    assert "scores at a time" not in text, "nothing is saved where one tile holds all"
    assert re.search(r"The whole map has \d+ weights?\.", text)


def test_padding_is_skipped_and_the_answer_stays(page):
    page.slider(key="kernel_beside").set_value(3.0).run()
    text = shown(page)
    places = lengths.encoder_frames(lengths.mel_frames(3 * lengths.SAMPLE_RATE))
    assert f"The whole map has {places**2:,} weights" in text
    assert "tiles are padding and skipped" in text
    last = page.select_slider(key="kernel_step").options[-1]
    knob(page, "kernel_step", int(last.split(" of ")[0]) - 1)
    assert "is padding: it is skipped" in shown(page)


def test_a_link_chooses_layer_and_head(workbench):
    page = ready(opened(layer="1", head="2"))
    assert page.select_slider(key="kernel_layer").value == 1
    assert page.select_slider(key="kernel_head").value == 2


def test_a_clip_beyond_the_window_says_so(page):
    page.selectbox(key="sample").set_value("long").run()
    assert "The encoder hears 5 s at once" in shown(page)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bug_is_found_and_never_told_before(page, fault):
    seed = seed_of(fault)
    hunting(page, seed)
    before = shown(page)
    assert not [each.why for each in FAULTS.values() if each.why in before]
    assert not [each.symptom for each in FAULTS.values() if each.symptom in before]
    assert page.button(key="bug_check").disabled
    wrong = next(name for name in FAULTS if name != fault)
    page.radio(key=f"bug_guess_{seed}").set_value(wrong).run()
    page.button(key="bug_check").click().run()
    text = shown(page)
    assert "Not this one" in text
    assert FAULTS[wrong].symptom in text
    assert FAULTS[fault].why not in text
    page.radio(key=f"bug_guess_{seed}").set_value(fault).run()
    page.button(key="bug_check").click().run()
    text = shown(page)
    assert "Found, at try 2" in text
    assert FAULTS[fault].why in text
    assert page.button(key="bug_tell").disabled


def test_a_guess_that_is_checked_twice_is_one_try(page):
    fault = next(iter(FAULTS))
    seed = seed_of(fault)
    hunting(page, seed)
    page.radio(key=f"bug_guess_{seed}").set_value(fault).run()
    [bug] = [v for k, v in page.session_state["session"].pages.items() if k.__name__ == "BugHunt"]
    bug.guesses.append(fault)  # as by a click of whose outcome the page does not know yet
    page.button(key="bug_check").click().run()
    assert "Found, at try 1" in shown(page)


def test_giving_up_tells_and_another_bug_is_fresh(page):
    hunting(page, 5)
    page.button(key="bug_tell").click().run()
    assert FAULTS[planted(5)].why in shown(page)
    page.button(key="another_bug").click().run()
    assert page.number_input(key="bug_seed").value == 6
    assert FAULTS[planted(6)].why not in shown(page)


def test_a_bug_that_does_not_show_is_a_clue(page):
    hunting(page, seed_of("divided_in_every_tile"))
    tiles = page.select_slider(key="kernel_tile").options
    whole = int(tiles[-1].split(" ")[0])
    assert "With these knobs the output is right" not in shown(page)
    knob(page, "kernel_tile", whole)
    assert "With these knobs the output is right" in shown(page)


def test_it_waits_for_a_clip(page):
    page.segmented_control(key="clip_source").set_value("Upload").run()
    assert "Once there is a clip its encoder's queries and keys meet here" in shown(page)

"""What `measure_workbench.py` measures, one function a row: each drives a real browser and returns numbers.

Times are taken inside the page: from the event that a pointer or a key makes to the animation frame in which the
outcome is drawn and the script has ended.
"""

import itertools
import json
import math
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hostile_audio import HOSTILE_AUDIO
from q2a_core import lengths, paths
from q2a_core.audio import write_wav
from q2a_core.inspection import read_gallery

PATIENCE = 120_000  # ms
LARGEST_UPLOAD = 25 * 2**20
SWEEP_SECONDS, SWEEP_FROM, SWEEP_SLOPE = 10.5, 300.0, 650.0
"""A tone whose frequency tells the time: 300 Hz at first, 650 Hz more each second."""
WATCHER = """
const roots = [];
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (...how) {
  const root = attach.apply(this, how);
  roots.push(root);
  return root;
};
window.q2a = {
  all(selector) {
    const inside = roots.filter((root) => root.isConnected);
    return [document, ...inside].flatMap((root) => [...root.querySelectorAll(selector)]);
  },
  painted(canvas) {
    if (!canvas || !canvas.width || !canvas.height) return false;
    const small = Object.assign(document.createElement("canvas"), { width: 100, height: 50 });
    const copy = small.getContext("2d", { willReadFrequently: true }); // the page's own canvas stays as fast as it is
    copy.drawImage(canvas, 0, 0, 100, 50);
    return new Set(copy.getImageData(0, 0, 100, 50).data).size > 8;
  },
  player() { return this.all(".q2a-player")[0]; },
  hasPicture() { return this.all(".q2a-player canvas").some((canvas) => this.painted(canvas)); },
  idle() { return document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"; },
  text(selector) { return this.all(selector).map((e) => e.innerText).join(" | "); },
  until(holds) {
    return new Promise((done) => {
      const look = () => (holds() ? done(performance.now()) : requestAnimationFrame(look));
      look();
    });
  },
};
for (const kind of ["pointerdown", "keydown"])
  addEventListener(kind, (event) => { window.acted = event.timeStamp; }, { capture: true });
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...more) {
  if (target instanceof AudioDestinationNode) {
    const ear = this.context.createAnalyser();
    ear.fftSize = 2048; ear.smoothingTimeConstant = 0;
    connect.call(this, ear);
    window.ear = ear;
  }
  return connect.call(this, target, ...more);
};
"""
LISTEN = """() => {
  const ear = window.ear, player = window.q2a.player(), context = ear.context;
  const bins = new Float32Array(ear.frequencyBinCount);
  ear.getFloatFrequencyData(bins);
  const shown = Number(player.dataset.seconds), token = Number(player.dataset.token);
  let k = 1;
  for (let i = 2; i < bins.length - 1; i++) if (bins[i] > bins[k]) k = i;
  const [a, b, c] = [bins[k - 1], bins[k], bins[k + 1]];
  const place = k + (0.5 * (a - c)) / (a - 2 * b + c);
  return {
    shown, token, level: b, hertz: (place * context.sampleRate) / ear.fftSize,
    half: ear.fftSize / 2 / context.sampleRate,
    latency: context.outputLatency || context.baseLatency || 0,
  };
}"""


def new_page(browser: Any, watch: Any) -> Any:
    """A page of a fresh context, watched, with the clock inside."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    watch(context)
    context.add_init_script(WATCHER)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    return page


def opened(page: Any, address: str, path: str = "") -> float:
    """Open a page and give the seconds from the navigation to its first gallery picture."""
    page.goto(f"{address}/{path}", wait_until="commit")
    return page.evaluate("() => q2a.until(() => q2a.hasPicture())") / 1000


def first_pictures(browser: Any, watch: Any, address: str, plain: str, count: int) -> list[float]:
    """Seconds by which the gallery's picture is later than the text of a two-line app, in turn, with a warm cache."""
    page, hello = new_page(browser, watch), new_page(browser, watch)
    later = []
    for turn in range(count + 1):
        hello.goto(plain, wait_until="commit")
        base = hello.evaluate(
            "() => q2a.until(() => document.body?.innerText.includes('two lines'))"
        )
        picture = opened(page, address)
        if turn:  # the first fills the caches
            later.append(picture - base / 1000)
    page.context.close()
    hello.context.close()
    return later


def acted(page: Any, act: Any, holds: str) -> float:
    """Seconds from the last pointer or key event of `act` until `holds` is true and the page's script has ended."""
    page.evaluate(f"() => {{ window.reached = q2a.until(() => ({holds}) && q2a.idle()); }}")
    act()
    return page.evaluate("async () => ((await window.reached) - window.acted) / 1000")


def clip_switches(page: Any, count: int) -> list[float]:
    """From the click on another sample to its picture."""
    samples = read_gallery()[1 : count + 1]
    taken = []
    for sample in samples:
        page.get_by_role("combobox", name="Sample").click()
        option = page.get_by_role("option", name=re.compile(re.escape(sample.label)))
        name = json.dumps(sample.path.name)
        named = f"e => e.getAttribute('aria-label').includes({name})"
        drawn = f"q2a.all('[aria-label]').some({named}) && q2a.hasPicture()"
        taken.append(acted(page, option.first.click, drawn))
    return taken


def knob(page: Any, selector: str, act: Any, count: int) -> list[float]:
    """From each of `count` turns of a knob until the text below `selector` is another one."""
    taken = []
    for _ in range(count):
        before = json.dumps(page.evaluate("(s) => q2a.text(s)", selector))
        changed = f"q2a.text({json.dumps(selector)}) !== {before}"
        taken.append(acted(page, act, changed))
        page.wait_for_timeout(150)
    return taken


def ready(page: Any) -> None:
    """Wait until the model is there and the page has nothing left to do."""
    page.get_by_text("is ready").first.wait_for(state="attached")
    page.evaluate("() => q2a.until(() => q2a.idle())")


def playhead(page: Any, folder: Path) -> dict[str, Any]:
    """How far the playhead is from the sound over 10 s, told by a tone whose pitch is the time."""
    moment = np.arange(round(SWEEP_SECONDS * lengths.SAMPLE_RATE)) / lengths.SAMPLE_RATE
    phase = 2 * np.pi * (SWEEP_FROM * moment + SWEEP_SLOPE * moment**2 / 2)
    path = folder / "sweep.wav"
    write_wav(path, (0.5 * np.sin(phase)).astype(np.float32))
    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("slider", name="Position in sweep.wav").wait_for()
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(300)
    off, wrong_tokens = [], 0
    end = time.monotonic() + 10
    while time.monotonic() < end:
        heard = page.evaluate(LISTEN)
        if heard["level"] > -60 and 0.1 < heard["shown"] < SWEEP_SECONDS - 0.1:
            sounding = (heard["hertz"] - SWEEP_FROM) / SWEEP_SLOPE + heard["half"]
            off.append(heard["shown"] - (sounding - heard["latency"]))
            exact = heard["shown"] / 0.04
            near = {math.floor(exact - 1e-3), math.floor(exact + 1e-3)}
            wrong_tokens += heard["token"] not in near
        page.wait_for_timeout(50)
    return {"off": off, "wrong_tokens": wrong_tokens}


def stop_and_resume(
    page: Any,
    address: str,
    runs: Path,
    *,
    times: int = 5,
    beside: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Start SFT from the page Train, stop it `times` times and resume it in between; the log must go on.

    `beside` is called while the run trains.
    """
    page.goto(f"{address}/train")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text(re.compile(r"loss after step \d+ of")).wait_for(timeout=600_000)
    beside()
    stop = page.get_by_role("button", name="Stop", exact=True)
    stopped = "q2a.text('.st-key-run_state').includes('stopped;')"
    stops, before = [], []
    [log] = runs.glob("*/log.jsonl")
    for turn in range(times):
        stops.append(acted(page, stop.click, stopped))
        if turn == 0:
            before = _steps(log)
        if turn == times - 1:
            break
        reached = _steps(log)[-1]
        page.get_by_role("button", name="Resume").click()
        for _ in range(1200):
            if _steps(log)[-1] > reached:
                break
            page.wait_for_timeout(500)
        # not always at the same place between two micro-batches
        page.wait_for_timeout(500 + 130 * turn)
    after = _steps(log)
    return {"stops": stops, "before": before, "after": after, "continues": _goes_on(before, after)}


def _steps(log: Path) -> list[int]:
    records = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
    return [record["step"] for record in records if record.get("kind") == "step"]


def _goes_on(before: list[int], after: list[int]) -> bool:
    """Whether no step is missing and none is there twice."""
    widths = {b - a for a, b in itertools.pairwise(after)}
    return after[-1] > before[-1] and after == sorted(set(after)) and len(widths) <= 2


def visitors(browser: Any, watch: Any, address: str, count: int) -> dict[str, Any]:
    """Several visitors at once, each with a clip of its own; what they are told against what one alone is told.

    While the others ask, one edits the model's activations on Attention and one draws random replies on Preferences.
    """
    from q2a_core import AudioChat

    samples = read_gallery()[:count]
    chat = AudioChat.from_pretrained("mini")
    alone = {s.name: chat.fork().ask(audio=s.path, text=s.ask).text.strip() for s in samples}
    pages = [new_page(browser, watch) for _ in samples]
    busy = {0: ("attention", "Layers × time"), 1: ("preferences", "Two replies")}
    for page, sample in zip(pages, samples, strict=True):
        opened(page, address, f"?clip={sample.name}")
        ready(page)
    right, strange = 0, []
    for turn in range(2):
        if turn:
            for number, (path, button) in busy.items():
                pages[number].goto(f"{address}/{path}?clip={samples[number].name}")
                pages[number].get_by_role("button", name=button).click(trial=True)
            for number, (_, button) in busy.items():
                pages[number].get_by_role("button", name=button).click(no_wait_after=True)
        asking = [n for n in range(count) if not turn or n not in busy]
        for number in asking:
            if turn:
                pages[number].get_by_role("button", name="New chat").click()
                pages[number].get_by_text("Ask it yourself below").wait_for()
        for number in asking:
            name = samples[number].ask or "Clip alone"
            pages[number].get_by_role("button", name=name).click(no_wait_after=True)
        for number in asking:
            page, sample = pages[number], samples[number]
            page.get_by_text("first token").first.wait_for()
            text = " ".join(page.evaluate("() => q2a.text('.st-key-history')").split())
            right += " ".join(alone[sample.name].split()) in text
            others = {s.path.name for s in samples if s is not sample}
            strange += [name for name in others if name in text]
    asked = count + count - len(busy)
    for page in pages:
        page.context.close()
    return {"asked": asked, "right": right, "strange": strange}


def uploads(page: Any, folder: Path, count: int) -> dict[str, Any]:
    """Hostile files through the browser's file input: each must get its sentence, and the app must live on."""
    page.get_by_text("Upload", exact=True).click()
    told: dict[str, str] = {}
    missing = []
    for name, build, fragment in HOSTILE_AUDIO:
        if len(told) + len(missing) == count:
            break
        place = folder / f"{len(told)}-{len(missing)}"
        place.mkdir()
        path = build(place)
        if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST_UPLOAD:
            continue
        page.locator("input[type=file]").set_input_files(path)
        said = page.get_by_role("alert").filter(has_text=fragment)
        try:
            said.first.wait_for(timeout=30_000)
            told[name] = said.first.inner_text().replace("\u2060", "")
        except Exception:
            missing.append(name)
    page.get_by_text("Samples", exact=True).click()
    page.get_by_role("combobox", name="Sample").wait_for()
    unclear = [name for name, text in told.items() if "Traceback" in text or len(text) > 400]
    return {"told": told, "missing": missing, "unclear": unclear}


def pages_too_long() -> list[str]:
    """Pages of more than 80 lines, and pages that name torch."""
    found = []
    for path in sorted((paths.workbench() / "app_pages").glob("*.py")):
        text = path.read_text("utf-8")
        if len(text.splitlines()) > 80 or re.search(r"^\s*(from|import) torch\b", text, re.M):
            found.append(path.name)
    return found


def median(values: list[float]) -> float:
    """The median; not a number if nothing was measured."""
    return statistics.median(values) if values else math.nan

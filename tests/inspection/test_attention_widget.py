"""What the browser is given: bytes that mean what the arrays said, names that change with content, and no markup."""

import base64
import subprocess
import sys

import numpy as np
import pytest

from q2a_core.inspection.attention_views import GAMMA, Overview, picture
from q2a_core.inspection.attention_widget import (
    cause_data,
    map_data,
    thumbs_data,
)
from q2a_core.inspection.causes import CausalMap
from q2a_core.inspection.edits import AUDIO_TOKENS, Site


def decoded(text: str, dtype: type = np.uint8) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


@pytest.fixture
def view() -> Overview:
    rng = np.random.default_rng(0)
    return Overview(
        part="decoder",
        thumbnails=rng.integers(0, 256, (2, 4, 5, 6)).astype(np.uint8),
        entropy=rng.random((2, 4)),
        share=rng.random((2, 4, 3)),
        even_share=0.5,
        columns=6,
    )


@pytest.fixture
def causes() -> CausalMap:
    change = np.zeros((2, 3, 4), np.float32)
    change[1, 2] = [-1.0, -3.0, 0.5, 0.0]
    change[0, 0, 2] = 1.5
    places = [Site(part="encoder", layer=0), AUDIO_TOKENS]
    return CausalMap(sites=places, windows=[(0, 3), (3, 6), (6, 7)], change=change, whole=change[0])


def test_small_pictures(view):
    data = thumbs_data(view)
    assert (data["layers"], data["heads"], data["height"], data["width"]) == (2, 3, 5, 6)
    assert (decoded(data["values"]).reshape(2, 4, 5, 6) == view.thumbnails).all()
    assert data["entropy"] == view.entropy.tolist()
    assert data["share"] == view.share[:, 0, 0].tolist()


def test_a_map_can_be_read_back():
    weights = np.random.default_rng(1).random((2, 7)).astype(np.float32)
    data = map_data(picture(weights), gamma=GAMMA, title="decoder", labels=["a", "dog"])
    values = decoded(data["values"]).reshape(data["rows"], data["columns"])
    back = data["high"] * (values / 255) ** (1 / data["gamma"])
    np.testing.assert_allclose(back, weights, atol=0.01)
    assert not data["followsSound"]
    tokens = map_data(picture(weights), gamma=GAMMA, title="encoder")
    assert tokens["followsSound"]
    assert tokens["labels"] == ["0.00 s", "0.04 s"]


def test_causes_of_the_reply_and_of_a_word(causes):
    data = cause_data(causes, title="needed?")
    values = decoded(data["values"], np.float32).reshape(2, 3)
    np.testing.assert_allclose(values, causes.of())
    assert data["high"] == 3.5
    assert data["sites"] == ["encoder 1", "audio tokens"]
    assert "strongest −3.50 nats: audio tokens, 0.24–0.28 s" in data["detail"]
    word = cause_data(causes, title="needed?", words=(2, 4))
    assert "strongest +1.50 nats: encoder 1, 0.00–0.12 s" in word["detail"]
    nothing = cause_data(causes, title="needed?", words=(3, 4))
    assert nothing["high"] == 0.05, "rounding is not blown up to full colour"


def test_names_change_with_the_content(view, causes):
    assert thumbs_data(view)["id"] == thumbs_data(view)["id"]
    assert cause_data(causes, title="a")["id"] != cause_data(causes, title="b")["id"]
    assert cause_data(causes, title="a")["id"] != cause_data(causes, title="a", words=(0, 1))["id"]


def test_the_widget_needs_no_torch():
    program = (
        "import sys, q2a_core.inspection.attention_widget as widget; widget.attention_js()\n"
        "print([name for name in ('torch', 'matplotlib', 'streamlit') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr

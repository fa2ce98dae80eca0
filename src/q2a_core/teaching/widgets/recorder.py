"""`record_clip()`: the browser's microphone or a file of one's own, as a `Waveform` in the notebook.

The browser decodes what its microphone gave and sends a wav file; a chosen file travels as it is. Both are read by
`load_waveform`, so a file that cannot be used is told of in the same words as everywhere. Imports anywidget.
"""

import html
import io
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from q2a_core.audio import Waveform, load_waveform
from q2a_core.errors import AudioError

MOST_BYTES = 25_000_000
"""Larger files are refused before they travel."""
MOST_SECONDS = 30
"""The model's window; a recording ends by itself there."""
NOTHING_YET = "Press Record and speak, then Stop; or choose a file. The clip stays on this machine, as `waveform`."
WITHOUT_WIDGETS = "No widgets here: use load_waveform('your_clip.wav') for a file of your own."


class Recorder(anywidget.AnyWidget):
    """Two ways to hand over a clip; `waveform` is the newest one that could be read, None before that."""

    _esm = (Path(__file__).parent / "recorder.js").read_text("utf-8")
    sent = traitlets.Any(b"").tag(sync=True)  # bytes here, a DataView there, a memoryview between
    sent_name = traitlets.Unicode("").tag(sync=True)
    sent_count = traitlets.Int(0).tag(sync=True)
    said = traitlets.Unicode(NOTHING_YET).tag(sync=True)
    most_bytes = traitlets.Int(MOST_BYTES).tag(sync=True)
    most_seconds = traitlets.Int(MOST_SECONDS).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.waveform: Waveform | None = None
        # the count and not the bytes: the same file may be chosen twice
        self.observe(self._take, "sent_count")

    def _take(self, change: Any) -> None:
        """Read what came; the clip before it stays where this one cannot be used."""
        file = io.BytesIO(bytes(self.sent))
        file.name = self.sent_name
        self.sent = b""  # it need not travel back with the widget's state
        try:
            self.waveform = load_waveform(file, max_seconds=MOST_SECONDS)
        except AudioError as error:
            self.said = str(error)
            return
        notices = "".join(f"; {notice}" for notice in self.waveform.notices)
        self.said = (
            f"{self.waveform.name}: {self.waveform.seconds:.2f} s{notices}. Run the next cell."
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        live, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        words = f"{self.said} {WITHOUT_WIDGETS}"
        return live | {"text/plain": words, "text/html": f"<p>{html.escape(words)}</p>"}, metadata


def record_clip() -> Recorder:
    """The recorder, to end a cell with; the next cell reads its `waveform`."""
    return Recorder()

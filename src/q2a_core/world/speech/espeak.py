"""Our end of the speech engine: starts `espeak_process.py`, asks, waits with a limit, cleans up.

What comes out is ready for the world: 16 kHz int16 with 50 ms of silence left at either end. It
knows nothing of sentences, splits and caches.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.lengths import SAMPLE_RATE

MARGIN_SECONDS = 0.05
START_TIMEOUT = 60.0
REQUEST_TIMEOUT = 30.0
# quieter than this share of the peak counts as silence when the ends are trimmed: -44 dB
SILENCE = 0.006

Answer = TypeVar("Answer")


class EspeakProcess:
    """One worker process with one engine, used as a context manager by one thread."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("espeak_process.py")
        # run by path: the worker then needs nothing of this package, and -P keeps our file names
        # from hiding modules of the standard library
        command = [sys.executable, "-P", str(program)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise SpeechError(f"the speech process could not be started: {error}") from error
        self.timed_out = False
        try:
            hello = self._limited(START_TIMEOUT, self._header)
        except BaseException:
            self.close()
            raise
        if "error" in hello:
            self.close()
            raise SpeechError(
                f"no speech engine: {hello['error']}. Install it with: pip install espeakng-loader"
            )
        self.version: str = hello["version"]

    def __enter__(self) -> "EspeakProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; harmless when it has ended already."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        self.process.wait()

    def speak(
        self,
        text: str,
        *,
        voice: str,
        rate: int = 160,
        pitch: int = 50,
        pitch_range: int = 50,
        size: float = 1.0,
    ) -> np.ndarray:
        """Samples (S,) int16 at 16 kHz, trimmed.

        `rate` in words a minute, `pitch` and `pitch_range` 0 to 99 around the voice's own; `size`
        plays it that much faster, which raises pitch and formants. Raises SpeechError for an
        unknown voice, an empty result, and a process that crashed or hangs.
        """
        request = {"text": text, "voice": voice, "rate": rate, "pitch": pitch, "range": pitch_range}
        header, samples = self._limited(REQUEST_TIMEOUT, lambda: self._ask(request))
        if "error" in header:
            raise SpeechError(f"cannot say {text!r}: {header['error']}. See `voices()` for names.")
        waveform = to_clip(samples, header["sample_rate"] * size)
        if waveform.size == 0:
            raise SpeechError(f"the voice {voice!r} says nothing for {text!r}")
        return waveform

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._crash() from error
        header = self._header()
        size = 2 * int(header.get("samples", 0))
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise self._crash()
        return header, np.frombuffer(data, dtype="<i2")

    def _header(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._crash()
        return json.loads(line)

    def _crash(self) -> SpeechError:
        self.process.kill()
        code = self.process.wait()
        how = "did not answer in time" if self.timed_out else f"ended early (exit code {code})"
        return SpeechError(f"the speech process {how}; run the same command again")

    def _limited(self, seconds: float, action: Callable[[], Answer]) -> Answer:
        def give_up() -> None:
            self.timed_out = True
            # ends the blocking read, on every platform
            self.process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            return action()
        finally:
            timer.cancel()


def to_clip(samples: np.ndarray, sample_rate: float) -> np.ndarray:
    """Resampled and trimmed int16 samples."""
    import soxr

    if samples.size == 0:
        return np.zeros(0, np.int16)
    waveform = soxr.resample(samples.astype(np.float32), sample_rate, SAMPLE_RATE)
    loudness = np.abs(waveform)
    loud = np.flatnonzero(loudness > SILENCE * loudness.max())
    if loud.size == 0:
        return np.zeros(0, np.int16)
    margin = int(MARGIN_SECONDS * SAMPLE_RATE)
    first = max(int(loud[0]) - margin, 0)
    last = min(int(loud[-1]) + margin, waveform.size)
    return np.clip(np.rint(waveform[first:last]), -32768, 32767).astype(np.int16)

"""The speech engine, alone in a process of its own: JSON lines in, int16 samples out.

eSpeak NG is GPL-3.0-or-later, so nothing else in the package loads it or imports this module;
`espeak.py` runs this file by its path and talks to it through pipes. One engine per process, not
thread-safe, and reproducible only as a sequence from process start: the same requests in the same
order give the same bytes, the same request twice in one process does not.

    first line out  {"ready": true, "version": "1.52.0"}  or  {"error": "..."} and the end
    a line in       {"text": "red dog", "voice": "en-us+f3", "rate": 160, "pitch": 50, "range": 50}
    the answer      {"samples": n, "sample_rate": 22050}
                    and then 2 n bytes, little-endian; or {"error": "..."} and nothing more

Ends when its input is closed, so it never outlives its parent.
"""

import ctypes
import json
import sys
from pathlib import Path
from typing import IO, Any

# enumerations of espeak-ng/speak_lib.h, engine 1.52
SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
BY_CHARACTER = 1
SEED = 1
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}
RETURN_CODES = {-1: "internal error", 1: "buffer full", 2: "not found"}


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EngineError(RuntimeError):
    """The engine refused something; the message says what."""


class Engine:
    """libespeak-ng through ctypes, in synchronous retrieval mode."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise EngineError("espeakng-loader is not installed") from error
        self.data = Path(espeakng_loader.get_data_path())
        self.engine = ctypes.CDLL(espeakng_loader.get_library_path())
        self.engine.espeak_Info.restype = ctypes.c_char_p
        # the engine wants the folder that contains espeak-ng-data
        folder = str(self.data.parent).encode()
        self.sample_rate: int = self.engine.espeak_Initialize(SYNCHRONOUS, 0, folder, DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise EngineError(f"espeak-ng could not start with the data in {self.data}")
        # left alone, the engine seeds the noise of breathy voices by the clock
        self.engine.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        self.version = self.engine.espeak_Info(None).decode().split()[0]
        self.variants = {path.name for path in (self.data / "voices" / "!v").iterdir()}
        self.samples = bytearray()
        # kept as an attribute: the engine holds a bare pointer to it
        self.callback = _Callback(self._collect)
        self.engine.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self.samples += ctypes.string_at(samples, 2 * count)
        return 0

    def _check(self, code: int, what: str) -> None:
        if code != 0:
            meaning = RETURN_CODES.get(code, "unknown code")
            raise EngineError(f"espeak-ng refused {what}: {meaning} ({code})")

    def speak(self, *, text: str, voice: str, **parameters: int) -> bytes:
        """int16 samples in the machine's byte order."""
        # an unknown variant is accepted in silence and spoken by the plain voice
        variant = voice.partition("+")[2]
        if "+" in voice and variant not in self.variants:
            raise EngineError(f"espeak-ng has no voice variant {variant!r}")
        self._check(self.engine.espeak_SetVoiceByName(voice.encode()), f"the voice {voice!r}")
        for name, value in parameters.items():
            code = self.engine.espeak_SetParameter(PARAMETERS[name], int(value), 0)
            self._check(code, f"{name} = {value}")
        self.samples.clear()
        data = text.encode() + b"\0"
        code = self.engine.espeak_Synth(data, len(data), 0, BY_CHARACTER, 0, UTF8, None, None)
        self._check(code, f"the text {text!r}")
        self._check(self.engine.espeak_Synchronize(), "to finish")
        return bytes(self.samples)


def answer(engine: Engine, line: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the little-endian samples for one request line."""
    try:
        samples = engine.speak(**json.loads(line))
    except (EngineError, KeyError, TypeError, ValueError) as error:
        return {"error": str(error)}, b""
    if sys.byteorder == "big":
        swapped = bytearray(samples)
        swapped[0::2], swapped[1::2] = samples[1::2], samples[0::2]
        samples = bytes(swapped)
    header = {"samples": len(samples) // 2, "sample_rate": engine.sample_rate}
    return header, samples


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer request lines until the input ends."""

    def send(header: dict[str, Any], samples: bytes = b"") -> None:
        answers.write(json.dumps(header).encode() + b"\n" + samples)
        answers.flush()

    try:
        engine = Engine()
    except (EngineError, OSError) as error:
        send({"error": str(error)})
        return
    send({"ready": True, "version": engine.version})
    for line in requests:
        send(*answer(engine, line))


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)

"""Sound in: decoding (needs no torch) and, in `audio.mel`, the log-mel front end."""

from q2a_core.audio.waveform import Waveform, load_waveform, wav_bytes, write_wav

__all__ = ["Waveform", "load_waveform", "wav_bytes", "write_wav"]

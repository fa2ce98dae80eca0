"""Knobs on the front end: window, hop and bands of a clip's log-mel, and what they do to the token count."""

from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.front_end import (
    HOP_CHOICES,
    N_FFT_CHOICES,
    NUM_MELS_CHOICES,
    MelSettings,
    view_under,
)
from q2a_core.inspection.wording import counted
from q2a_core.teaching.widgets.knobs import Knobs

if TYPE_CHECKING:
    from q2a_core.audio import Waveform


def front_end_knobs(clip: "Waveform") -> Knobs:
    """Sliders for window, hop and mel bands of a clip; they begin at the model's own settings."""
    own = MelSettings()

    def draw(*, window: int, hop: int, mel_bands: int) -> tuple[Any, str]:
        settings = MelSettings(n_fft=window, hop_length=hop, num_mels=mel_bands)
        return draw_front_end(clip.samples, settings, name=clip.name)

    return Knobs(
        draw,
        window=(N_FFT_CHOICES, own.n_fft),
        hop=(HOP_CHOICES, own.hop_length),
        mel_bands=(NUM_MELS_CHOICES, own.num_mels),
    )


RESOLVED = 2.5
"""Steps of the spectrum between two equal tones that a Hann window shows as two: its main lobe is four steps wide."""


def draw_front_end(
    samples: np.ndarray, settings: MelSettings, *, name: str = "the clip"
) -> tuple[Any, str]:
    """The picture of a 16 kHz clip (S,) under `settings`, and a sentence about it."""
    from q2a_core.inspection.figures.clip import figure_view

    view = view_under(samples, settings)
    rate = lengths.SAMPLE_RATE
    step = rate / settings.n_fft
    words = (
        f"a window of {1000 / step:g} ms gives a spectrum in steps of {step:g} Hz and shows two equal tones as two "
        f"from about {RESOLVED * step:g} Hz apart; a hop of {1000 * settings.hop_length / rate:g} ms gives "
        f"{counted(view.mel.shape[1], 'mel frame')} and {counted(view.audio_tokens, 'audio token')} for "
        f"{view.seconds:.2f} s"
    )
    return figure_view(view, title=name), words

"""Pictures for notebooks and export, with matplotlib; every function returns a Figure and touches no global state."""

from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.figures.palette import COLOUR_MAP, SIGNED_COLOUR_MAP, TEAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from q2a_core.inspection.trace import ClipView


def figure_clip(
    waveform: Any, mel: Any, audio_tokens: Any, *, title: str | None = None
) -> "Figure":
    """Waveform, log-mel and token strip on one time axis in seconds.

    waveform (S,) at 16 kHz or a `Waveform`; mel (M, F) or (1, M, F), of which the clip's own frames are drawn;
    audio_tokens either a count, or the tokens themselves (A, C) or (1, A, C), drawn as one column of C values each.
    """
    from matplotlib.figure import Figure

    samples = _numbers(getattr(waveform, "samples", waveform)).reshape(-1)
    frames = lengths.mel_frames(len(samples))
    mel = _numbers(mel)
    mel = mel.reshape(mel.shape[-2:])[:, :frames]
    figure = Figure(figsize=(9, 5), layout="constrained")
    wave_axes, mel_axes, token_axes = figure.subplots(3, 1, sharex=True, height_ratios=[2, 4, 1.2])
    seconds = np.arange(len(samples)) / lengths.SAMPLE_RATE
    wave_axes.plot(seconds, samples, linewidth=0.5, color=TEAL)
    wave_axes.set(
        ylabel="waveform", xlim=(0, max(len(samples) / lengths.SAMPLE_RATE, frames / 100))
    )
    _draw_mel(mel_axes, mel)
    _draw_tokens(token_axes, audio_tokens)
    if title:
        wave_axes.set_title(title)
    return figure


def figure_view(view: "ClipView", *, title: str | None = None) -> "Figure":
    """The player as a still picture: what it draws of a clip, under the view's own hop."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    wave_axes, mel_axes, token_axes = figure.subplots(3, 1, sharex=True, height_ratios=[2, 4, 1.2])
    seconds = np.linspace(0, view.seconds, view.envelope.shape[1])
    edges = view.envelope * (view.full_scale / 32768)
    wave_axes.fill_between(seconds, *edges, color=TEAL, linewidth=0.3)
    hop = view.hop_length / lengths.SAMPLE_RATE
    low, high = view.mel_range
    mel = low + view.mel.astype(np.float32) * ((high - low) / 255)
    wave_axes.set(ylabel="waveform", xlim=(0, max(view.seconds, mel.shape[1] * hop)))
    ticks = [(position, f"{kilohertz:g}") for kilohertz, position in view.mel_ticks]
    _draw_mel(mel_axes, mel, hop=hop, ticks=ticks)
    _draw_tokens(token_axes, view.audio_tokens, hop=hop)
    if title:
        wave_axes.set_title(title)
    return figure


def _draw_mel(
    axes: "Axes",
    mel: np.ndarray,
    *,
    hop: float = 1 / lengths.MEL_FRAME_RATE,
    ticks: list[tuple[float, str]] | None = None,
) -> None:
    from q2a_core.inspection.trace import TICK_HERTZ, mel_position

    bins, frames = mel.shape
    image = axes.imshow(
        mel,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOUR_MAP,
        extent=(0, frames * hop, -0.5, bins - 0.5),
    )
    marks = ticks or [(mel_position(hertz, bins), f"{hertz / 1000:g}") for hertz in TICK_HERTZ]
    axes.set_yticks([position for position, _ in marks], [text for _, text in marks])
    axes.set_ylabel(f"log-mel, {bins} bins\n(kHz)")
    axes.figure.colorbar(image, ax=axes, pad=0.01)


def _draw_tokens(
    axes: "Axes", audio_tokens: Any, *, hop: float = 1 / lengths.MEL_FRAME_RATE
) -> None:
    width = hop * lengths.CONV_STRIDE * lengths.POOL_STRIDE
    values: np.ndarray
    if isinstance(audio_tokens, (int, np.integer)):
        values = np.arange(audio_tokens)[None, :] % 2
        colours, low, high = "GnBu", -0.5, 3.0  # pale stripes
    else:
        tokens = _numbers(audio_tokens)
        values = tokens.reshape(tokens.shape[-2:]).T
        high = float(np.percentile(np.abs(values), 99)) or 1.0  # a few channels stand out far
        colours, low = SIGNED_COLOUR_MAP, -high
    count = values.shape[1]
    axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=low,
        vmax=high,
        extent=(0, count * width, 0, 1),
    )
    axes.set_yticks([])
    axes.set_ylabel(f"{count} audio\ntokens", rotation=0, ha="right", va="center")
    axes.set_xlabel(f"seconds (one audio token is {1000 * width:g} ms)")


def _numbers(values: Any) -> np.ndarray:
    """Any array or tensor as NumPy floats."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float32)


def figure_map(
    values: Any,
    *,
    labels: list[str],
    seconds_per_column: float = lengths.TOKEN_SECONDS,
    signed: bool = False,
    unit: str = "weight",
    title: str | None = None,
) -> "Figure":
    """Rows over a clip's time: attention of words or heads, or with `signed` changes by layer, white at 0.

    values (rows, columns); `labels` name the rows from the top.
    """
    from matplotlib.figure import Figure

    values = _numbers(values)
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels were given for {len(values)} rows")
    rows, columns = values.shape
    high = float(np.abs(values).max(initial=0.0)) or 1.0
    figure = Figure(figsize=(9, min(1.2 + 0.24 * rows, 12)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=SIGNED_COLOUR_MAP if signed else COLOUR_MAP,
        vmin=-high if signed else 0.0,
        vmax=high,
        extent=(0, columns * seconds_per_column, rows - 0.5, -0.5),
    )
    axes.set_yticks(range(rows), labels)
    axes.set_xlabel("seconds")
    figure.colorbar(image, ax=axes, pad=0.01, label=unit)
    if title:
        axes.set_title(title)
    return figure

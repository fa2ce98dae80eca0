"""The feature extractor's settings in a checkpoint: those that this front end has, or a refusal by name.

They lie in `preprocessor_config.json`, or in `processor_config.json` under "feature_extractor", where transformers 5
writes them and looks first. What transformers computes from the others (`n_samples`, `nb_max_frames`) or never reads
(`do_normalize`) may say anything.
"""

from pathlib import Path
from typing import Any

from q2a_core.config import EncoderConfig
from q2a_core.errors import CheckpointError
from q2a_core.files import read_json
from q2a_core.lengths import HOP_LENGTH, N_FFT, SAMPLE_RATE


def check_front_end(directory: Path, encoder: EncoderConfig) -> None:
    """Raises CheckpointError if the model in `directory` is to hear anything but this front end's log-mels.

    A file or a setting that is absent is none to differ.
    """
    name, found = _settings(directory)
    expected: dict[str, Any] = {
        "sampling_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        "padding_side": "right",
        "padding_value": 0,
        "dither": 0,
        "feature_size": encoder.num_mel_bins,
        "chunk_length": encoder.max_seconds,
    }
    differing = [
        f"{key} {found[key]!r} for {value if isinstance(value, str) else format(value, 'g')}"
        for key, value in expected.items()
        if key in found and found[key] != value
    ]
    if differing:
        raise CheckpointError(
            f"{name} says {', '.join(differing)}: this front end and config.json hear otherwise, and the replies would "
            "be others; open it with transformers, or correct the file if it belongs to another model"
        )


def _settings(directory: Path) -> tuple[str, dict[str, Any]]:
    """The settings and the name of their file."""
    name = "processor_config.json"
    processor = read_json(directory / name, optional=True)
    for key in ("feature_extractor", "audio_processor"):
        found = processor.get(key)
        if found is None:
            continue
        if not isinstance(found, dict):
            raise CheckpointError(
                f"{name}: {key} is {type(found).__name__}; expected a JSON object"
            )
        return name, found
    name = "preprocessor_config.json"
    return name, read_json(directory / name, optional=True)

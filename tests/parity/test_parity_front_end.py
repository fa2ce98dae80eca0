"""The feature extractor's settings in a checkpoint: refused by name where transformers would hear something else."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoFeatureExtractor

from q2a_core.audio.mel import log_mel
from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import CheckpointError

NESTED, FLAT = "processor_config.json", "preprocessor_config.json"
RNG = np.random.default_rng(0)
CLIP = RNG.normal(0, 0.1, size=13_000).astype(np.float32)


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "foreign")


def edit(directory: Path, place: str, **entries: object) -> None:
    """Change settings, and keep them where `place` says."""
    path = directory / FLAT
    values = json.loads(path.read_text("utf-8")) | entries
    values = {name: value for name, value in values.items() if value != "absent"}
    path.write_text(json.dumps(values), "utf-8")
    if place == NESTED:
        path.unlink()
        (directory / NESTED).write_text(json.dumps({"feature_extractor": values}), "utf-8")


def same_to_transformers(directory: Path) -> bool:
    """Whether its extractor makes of a clip what our front end makes."""
    config = open_checkpoint(directory.parent / "good").config.encoder
    mel = log_mel(CLIP, num_mels=config.num_mel_bins, max_frames=config.max_mel_frames)
    extractor = AutoFeatureExtractor.from_pretrained(directory)
    try:
        found = extractor(CLIP, sampling_rate=16_000, padding="max_length", return_tensors="pt")
    except ValueError:
        return False
    features = found["input_features"][0]
    if features.shape != (config.num_mel_bins, config.max_mel_frames):
        return False
    return bool((features[:, : mel.shape[1]] - mel).abs().max() < 1e-4)


DIFFERING = {
    "sampling_rate": 8_000,
    "n_fft": 512,
    "hop_length": 200,
    "padding_side": "left",
    "padding_value": 0.5,
    "dither": 0.01,
    "feature_size": 80,
    "chunk_length": 30,
}


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # of another sampling rate
@pytest.mark.parametrize("place", [NESTED, FLAT])
@pytest.mark.parametrize("key", DIFFERING)
def test_what_transformers_hears_otherwise_is_refused_by_name(key, place, directory):
    shutil.copytree(directory, directory.parent / "good")
    edit(directory, place, **{key: DIFFERING[key]})
    assert not same_to_transformers(directory)
    with pytest.raises(CheckpointError, match=rf"^{place} says {key} {DIFFERING[key]!r} for "):
        open_checkpoint(directory)


INERT = {
    "as saved here": {},
    "whole numbers": {"padding_value": 0, "dither": 0},
    "what is computed from the others": {"n_samples": 7, "nb_max_frames": 9},
    "a switch that nobody reads": {"do_normalize": True},
    "what has these defaults": dict.fromkeys(
        ("sampling_rate", "n_fft", "hop_length", "padding_side", "padding_value"), "absent"
    ),
}


@pytest.mark.parametrize("place", [NESTED, FLAT])
@pytest.mark.parametrize("name", INERT)
def test_what_changes_nothing_is_no_hindrance(name, place, directory):
    shutil.copytree(directory, directory.parent / "good")
    edit(directory, place, **INERT[name])
    assert same_to_transformers(directory)
    open_checkpoint(directory)


def test_the_processors_file_goes_before(directory):
    shutil.copytree(directory, directory.parent / "good")
    good = (directory / FLAT).read_text("utf-8")
    edit(directory, NESTED, hop_length=200)
    (directory / FLAT).write_text(good, "utf-8")
    assert not same_to_transformers(directory)
    with pytest.raises(CheckpointError, match="hop_length 200 for 160"):
        open_checkpoint(directory)


def test_several_settings_are_one_sentence(directory):
    edit(directory, FLAT, **DIFFERING)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(directory)
    assert all(key in str(caught.value) for key in DIFFERING)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_settings_that_are_no_object(directory):
    (directory / NESTED).write_text('{"feature_extractor": "whisper"}', "utf-8")
    with pytest.raises(CheckpointError, match=r"processor_config\.json: feature_extractor is str"):
        open_checkpoint(directory)


def test_whole_numbers_may_be_written_as_floats(directory):
    """Transformers cannot compute with them; they ask for nothing else."""
    edit(directory, FLAT, sampling_rate=16_000.0, n_fft=400.0, chunk_length=5.0)
    open_checkpoint(directory)

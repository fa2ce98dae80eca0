"""One checkpoint format, both ways: what we write transformers opens, what transformers writes we open."""

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoProcessor,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
)
from transformers.utils import logging as transformers_logging

from parity.oracle import random_model, twin
from q2a_core import Qwen2Audio, presets
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.checkpoint.weights import to_hub_key
from q2a_core.inference import GenerationSettings, generate
from q2a_core.lengths import audio_tokens, mel_frames

MESSAGES = [
    {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is this?"}]},
    {"role": "assistant", "content": "This is the sound of a keyboard."},
    {"role": "user", "content": [{"type": "audio"}]},
]


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(0, 0.1, size=n).astype(np.float32) for n in (30_001, 12_345)]


@pytest.fixture(scope="module")
def model(chat_format) -> Qwen2Audio:
    """Random weights, rounded to fp16 as in a shipped checkpoint."""
    return random_model(presets.tiny(vocab_size=448), 7).half().float()


@pytest.fixture(scope="module")
def ours(model, chat_format, tmp_path_factory) -> Path:
    """A checkpoint that we wrote."""
    directory = tmp_path_factory.mktemp("ours") / "tiny"
    settings = {"max_new_tokens": 40, "repetition_penalty": 1.1}
    return save_checkpoint(model, directory, chat_format=chat_format, generation_config=settings)


@pytest.fixture(scope="module")
def theirs(ours) -> tuple[Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor]:
    """Transformers' model and processor, opened from our checkpoint."""
    model = Qwen2AudioForConditionalGeneration.from_pretrained(ours)
    return model, Qwen2AudioProcessor.from_pretrained(ours)


@pytest.fixture(scope="module")
def written_by_transformers(theirs, tmp_path_factory) -> Path:
    """Transformers 5's own layout: processor_config.json, chat_template.jinja, eight or more shards."""
    directory = tmp_path_factory.mktemp("theirs") / "sharded"
    model, processor = theirs
    model.save_pretrained(directory, max_shard_size="60KB")
    processor.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def hub_layout(written_by_transformers, theirs, tmp_path_factory) -> Path:
    """As published: a short config.json, preprocessor_config.json, the template in tokenizer_config.json."""
    directory = tmp_path_factory.mktemp("hub") / "sharded"
    shutil.copytree(written_by_transformers, directory)
    processor = theirs[1]
    (directory / "processor_config.json").unlink()
    template = (directory / "chat_template.jinja").read_text("utf-8")
    (directory / "chat_template.jinja").unlink()
    processor.feature_extractor.save_pretrained(directory)
    edit_json(directory / "tokenizer_config.json", chat_template=template)
    values = json.loads((directory / "config.json").read_text("utf-8"))
    text = values["text_config"]
    rope = text.pop("rope_parameters")
    for name in ("layer_types", "dtype", "sliding_window", "max_window_layers", "use_cache"):
        text.pop(name, None)
    for name in ("dtype", "tie_word_embeddings"):
        values.pop(name)
    text |= {"rope_theta": rope["rope_theta"], "use_mrope": False, "sliding_window": 32768}
    values |= {"torch_dtype": "float32"}
    (directory / "config.json").write_text(json.dumps(values), "utf-8")
    return directory


def edit_json(path: Path, **entries: object) -> None:
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(values | entries), "utf-8")


def their_reply(theirs, clips, **settings) -> tuple[torch.Tensor, list[int]]:
    """Transformers' logits of the prompt (T, V) and its reply under the checkpoint's generation_config."""
    model, processor = theirs
    text = processor.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=text, audio=clips, sampling_rate=16_000, return_tensors="pt")
    inputs["input_features"] = inputs["input_features"].to(model.dtype)
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
        reply = model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :]
    return logits, reply.tolist()


def our_reply(directory: str | Path, clips, **options) -> tuple[torch.Tensor, list[int]]:
    """The same from our side, from the checkpoint's files alone."""
    checkpoint = open_checkpoint(directory)
    model = checkpoint.load_model(**options)
    mel_lengths = torch.tensor([mel_frames(len(clip)) for clip in clips])
    window = model.config.encoder.max_mel_frames
    mel = stack_mels([log_mel(clip, max_frames=window) for clip in clips])
    mel = mel.to(model.projector.linear.weight.dtype)
    embeds = model.encode_audio(mel, mel_lengths)
    counts = audio_tokens(mel_lengths).tolist()
    input_ids = torch.tensor([checkpoint.chat_format.prompt_ids(MESSAGES, counts)])
    settings = GenerationSettings.from_generation_config(checkpoint.generation_config)
    with torch.inference_mode():
        logits = model(input_ids, audio_embeds=embeds).logits[0]
        reply = generate(model, input_ids, audio_embeds=embeds, settings=settings)
    return logits, reply.token_ids[0]


def without_stop(reply: list[int]) -> list[int]:
    """Transformers returns the stop token, we do not; 2 and 0 stop here."""
    return reply[:-1] if reply[-1] in (2, 0) else reply


@pytest.fixture
def transformers_log():
    """Records that transformers logs at warning level or above, also those it says once only."""
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    logger, handler = logging.getLogger("transformers"), Keep(logging.WARNING)
    transformers_logging.warning_once.cache_clear()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_transformers_opens_ours_without_a_word(ours, model, clips, findings, transformers_log):
    their_model = Qwen2AudioForConditionalGeneration.from_pretrained(ours)
    processor = AutoProcessor.from_pretrained(ours)
    expected, reply = their_reply((their_model, processor), clips)
    assert transformers_log == []
    assert isinstance(processor, Qwen2AudioProcessor)
    assert their_model.dtype == torch.float32
    assert processor.audio_token_id == model.config.audio_token_id
    logits, our_tokens = our_reply(ours, clips)
    difference = (logits - expected).abs().max().item()
    assert findings.difference("logits of our checkpoint, from waveform", difference) < 2e-4
    assert without_stop(reply) == our_tokens
    findings.count("greedy tokens compared, all equal", len(our_tokens))


def test_our_checkpoint_loads_into_transformers_in_full(ours):
    _, report = Qwen2AudioForConditionalGeneration.from_pretrained(ours, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]


@pytest.mark.parametrize("layout", ["written_by_transformers", "hub_layout"])
def test_we_open_theirs(layout, model, theirs, clips, findings, request):
    directory = request.getfixturevalue(layout)
    assert len(list(directory.glob("model-*-of-*.safetensors"))) >= 8
    opened = Qwen2Audio.from_pretrained(directory)
    assert opened.config == model.config
    for name, parameter in opened.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name
        assert parameter.requires_grad == model.get_parameter(name).requires_grad
    expected, reply = their_reply(theirs, clips)
    logits, our_tokens = our_reply(directory, clips)
    difference = (logits - expected).abs().max().item()
    assert findings.difference("logits of their checkpoint, from waveform", difference) < 2e-4
    assert without_stop(reply) == our_tokens


def test_transformers_opens_the_hub_layout_too(hub_layout, theirs, clips):
    """The layout built here is not ours alone."""
    again = (
        Qwen2AudioForConditionalGeneration.from_pretrained(hub_layout),
        AutoProcessor.from_pretrained(hub_layout),
    )
    expected, other = their_reply(theirs, clips), their_reply(again, clips)
    assert torch.equal(other[0], expected[0])
    assert other[1] == expected[1]


def test_there_and_back_again(written_by_transformers, ours, tmp_path):
    """Ours -> theirs -> ours: the same weights bit for bit, the same ids for the same text."""
    checkpoint = open_checkpoint(written_by_transformers)
    assert checkpoint.config == open_checkpoint(ours).config
    again = save_checkpoint(
        checkpoint.load_model(), tmp_path / "again", chat_format=checkpoint.chat_format
    )
    assert (again / "model.safetensors").read_bytes() == (ours / "model.safetensors").read_bytes()
    text = checkpoint.chat_format.render(MESSAGES)
    assert text == open_checkpoint(ours).chat_format.render(MESSAGES)
    encode = open_checkpoint(ours).chat_format.tokenizer.encode
    assert checkpoint.chat_format.tokenizer.encode(text) == encode(text)


def test_a_hub_id_opens_from_the_cache_offline(written_by_transformers, model, tmp_path):
    """models--org--name/snapshots/<revision>, links into blobs, no network: as a download leaves it."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--Example--Tiny-Audio"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    for number, path in enumerate(sorted(written_by_transformers.iterdir())):
        blob = repository / "blobs" / f"{number:040x}"
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
    program = """
import torch
from q2a_core import Qwen2Audio
from q2a_core.checkpoint import open_checkpoint
checkpoint = open_checkpoint("Example/Tiny-Audio")
model = Qwen2Audio.from_pretrained("Example/Tiny-Audio")
print(checkpoint.name, sum(p.double().sum().item() for p in model.parameters()), sep="|")
try:
    open_checkpoint("Example/Absent")
except ValueError as error:
    print(type(error).__name__, error, sep="|")
"""
    environment = os.environ | {
        "HF_HUB_CACHE": str(repository.parent),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    opened, refused = done.stdout.splitlines()
    name, total = opened.split("|")
    assert name == "Example/Tiny-Audio"
    assert float(total) == sum(p.double().sum().item() for p in model.parameters())
    assert refused.startswith("CheckpointError|Example/Absent is not in the hub's cache")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_checkpoints(dtype, ours, theirs, clips, findings, tmp_path):
    """Stored in half precision: fp32 on the rounded weights agrees as always, half precision within its rounding."""
    half = Qwen2AudioForConditionalGeneration.from_pretrained(ours, dtype=dtype)
    for part in (half, theirs[1]):
        part.save_pretrained(tmp_path)
    assert open_checkpoint(tmp_path).dtype == dtype
    single = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    expected, reply = their_reply((single, theirs[1]), clips)
    logits, our_tokens = our_reply(tmp_path, clips, dtype="float32")
    difference = (logits - expected).abs().max().item()
    assert findings.difference("logits in fp32 on half-precision weights", difference) < 2e-4
    assert without_stop(reply) == our_tokens
    expected, _ = their_reply((half, theirs[1]), clips, max_new_tokens=1)
    logits, _ = our_reply(tmp_path, clips)
    assert logits.dtype == dtype
    difference = (logits.float() - expected.float()).abs().max().item()
    bound = 16 * torch.finfo(dtype).eps * expected.abs().max().item()
    assert findings.difference(f"logits computed in {dtype}", difference) < bound


def test_tied_embeddings(chat_format, clips, tmp_path, findings):
    """Transformers 5 keeps the head apart even if config.json says tied; ours is stored so that this cannot matter."""
    config = presets.tiny(vocab_size=448)
    config = replace(config, decoder=replace(config.decoder, tie_word_embeddings=True))
    model = random_model(config, 3)
    save_checkpoint(model, tmp_path / "tied", chat_format=chat_format, dtype=torch.float32)
    their_model = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "tied")
    theirs = their_model, AutoProcessor.from_pretrained(tmp_path / "tied")
    expected, _ = their_reply(theirs, clips, max_new_tokens=1)
    logits, _ = our_reply(tmp_path / "tied", clips)
    difference = (logits - expected).abs().max().item()
    assert findings.difference("logits, tied embeddings", difference) < 2e-4


def test_a_stored_head_wins_over_tied_in_the_config(clips, theirs, tmp_path):
    """As transformers computes it; versions 5.10.0 to 5.10.3 wrote tied by default."""
    for part in theirs:
        part.save_pretrained(tmp_path)
    expected, _ = our_reply(tmp_path, clips)
    edit_json(tmp_path / "config.json", tie_word_embeddings=True)
    values = json.loads((tmp_path / "config.json").read_text("utf-8"))
    values["text_config"]["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(values), "utf-8")
    logits, _ = our_reply(tmp_path, clips)
    assert torch.equal(logits, expected)


PUBLISHED_CONFIG = {
    "architectures": ["Qwen2AudioForConditionalGeneration"],
    "audio_config": {
        "model_type": "qwen2_audio_encoder",
        "num_mel_bins": 128,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "d_model": 1280,
        "scale_embedding": False,
        "max_source_positions": 1500,
        "activation_function": "gelu",
    },
    "audio_token_index": 151646,
    "ignore_index": -100,
    "model_type": "qwen2_audio",
    "text_config": {
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "intermediate_size": 11008,
        "max_position_embeddings": 8192,
        "model_type": "qwen2",
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000,
        "sliding_window": 32768,
        "torch_dtype": "bfloat16",
        "use_mrope": False,
        "vocab_size": 156032,
    },
    "torch_dtype": "bfloat16",
    "vocab_size": 156032,
}
"""The fields that the published config.json lists; everything else is a default of transformers' config classes."""


def test_the_published_size(tmp_path):
    """Every key and shape of the 7B, from the preset and from the published config, beside transformers' own."""
    with torch.device("meta"):
        expected = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_dict(PUBLISHED_CONFIG))
        model = Qwen2Audio(presets.qwen2_audio_7b())
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_397_094_912
    shapes = {to_hub_key(name): tuple(p.shape) for name, p in model.named_parameters()}
    hub_names = (
        ("model.audio_tower.", "audio_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    )

    def published(key: str) -> str:
        inside, hub = next(pair for pair in hub_names if key.startswith(pair[0]))
        return hub + key.removeprefix(inside)

    their_shapes = {published(key): tuple(v.shape) for key, v in expected.state_dict().items()}
    assert shapes == their_shapes
    assert len(shapes) == len(their_shapes) == 876
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED_CONFIG))
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.config == presets.qwen2_audio_7b()
    assert checkpoint.dtype == torch.bfloat16
    assert checkpoint.generation_config["eos_token_id"] == 151645


def test_state_dict_saved_by_hand(model, ours, chat_format, tmp_path):
    """`safetensors.save_file(model.state_dict())` carries transformers' in-memory names; they are understood."""
    from safetensors.torch import save_file

    directory = tmp_path / "by_hand"
    shutil.copytree(ours, directory)
    save_file(twin(model).state_dict(), directory / "model.safetensors")
    opened = Qwen2Audio.from_pretrained(directory)
    for name, parameter in opened.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name

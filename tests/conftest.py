"""Shared fixtures: a tokenizer trained on a few lines, and a tiny random checkpoint on disk."""

import os
from pathlib import Path

import pytest
import torch

from q2a_core import presets
from q2a_core.checkpoint import save_checkpoint
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat, Tokenizer
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.text.tokenizer_training import train_tokenizer

if "PYTEST_XDIST_WORKER" in os.environ:
    # one worker for each core: more threads, here or in what a test starts, would only wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """A GPU's machine may have pytest alone: what pyproject.toml tells its plugins is read there, and that is all."""
    if not pluginmanager.hasplugin("xdist"):
        group = parser.getgroup("xdist")
        group._addoption("-n")  # pytest keeps small letters for plugins, as this one would be
        group.addoption("--dist")
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "seconds that a test may take")


def pytest_configure(config: pytest.Config) -> None:
    """The mark of a plugin that is not there."""
    if not config.pluginmanager.hasplugin("timeout"):
        config.addinivalue_line("markers", "timeout(seconds): how long a test may take")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` open only files with such tests: a GPU's machine may lack what the others import."""
    if config.option.markexpr != "gpu":
        return None
    alone = collection_path.is_file()
    files = [collection_path] if alone else collection_path.rglob("test_*.py")
    return None if any("pytest.mark.gpu" in file.read_text("utf-8") for file in files) else True


TEXTS = [
    "What is this sound? This is the sound of a keyboard. A dog barks twice.",
    "You are a helpful assistant. system user assistant Audio 1: Detect the language and recognize the speech:",
    "Die Katze ist rot. 这是狗的声音。",
]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, vocab_size=400)


@pytest.fixture(scope="session")
def chat_format(tokenizer: Tokenizer) -> ChatFormat:
    return ChatFormat(tokenizer, MINI_TEMPLATE, audio_token_id=3)


@pytest.fixture(scope="session")
def tiny_model() -> Qwen2Audio:
    """Random weights, rounded to fp16 as a shipped checkpoint's are."""
    model = Qwen2Audio(presets.tiny(vocab_size=448))
    model.init_weights(torch.Generator().manual_seed(0))
    return model.half().float().eval()


@pytest.fixture(scope="session")
def tiny_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Qwen2Audio, chat_format: ChatFormat
) -> Path:
    directory = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return save_checkpoint(
        tiny_model, directory, chat_format=chat_format, generation_config={"max_new_tokens": 16}
    )


@pytest.fixture(scope="session")
def small_book(tmp_path_factory: pytest.TempPathFactory):
    """Eighty spoken training phrases of the first world; skips where the speech engine is missing."""
    pytest.importorskip("espeakng_loader")
    from q2a_core.world.speech import build_book, plan_utterances

    directory = tmp_path_factory.mktemp("speech") / "train"
    return build_book(
        plan_utterances("train", count=80, seed=0, level="first"), directory, workers=1
    )


@pytest.fixture(scope="session")
def small_test_book(tmp_path_factory: pytest.TempPathFactory):
    """Forty spoken test phrases of the first world."""
    pytest.importorskip("espeakng_loader")
    from q2a_core.world.speech import build_book, plan_utterances

    directory = tmp_path_factory.mktemp("speech") / "test"
    return build_book(
        plan_utterances("test", count=40, seed=0, level="first"), directory, workers=1
    )


@pytest.fixture(scope="session")
def grown_book(tmp_path_factory):
    """A small book of the grown world's training speech."""
    from q2a_core.world.speech import build_book, plan_utterances

    plan = plan_utterances("train", count=160, seed=0)
    return build_book(plan, tmp_path_factory.mktemp("grown"), workers=2)

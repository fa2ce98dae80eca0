"""Trains a tiny model as one of N processes: RUN BOOK N; started by test_step.py, alone or under torchrun."""

import sys
from pathlib import Path

import torch

from q2a_core import presets
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat, Tokenizer
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.loop import Hooks, train
from q2a_core.training.processes import Processes
from q2a_core.training.stages import StageConfig
from q2a_core.training.supervised import Supervised
from q2a_core.world.corpus import Corpus
from q2a_core.world.speech.utterance_book import UtteranceBook


def main(run: Path, book: Path, expected: int) -> None:
    processes = Processes()
    assert processes.count == expected, f"{processes.count} processes instead of {expected}"
    if expected > 1:
        assert torch.distributed.get_world_size() == expected
        assert torch.distributed.get_backend() == "gloo"
    stage = StageConfig(
        name="pretrain",
        level="first",
        steps=6,
        batch_size=2,
        accumulate=4,
        warmup_steps=2,
        log_every=1,
        save_every=4,
    )
    chat_format = ChatFormat(
        Tokenizer.from_json((run.parent / "tokenizer.json").read_bytes()),
        MINI_TEMPLATE,
        audio_token_id=3,
    )
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(0))
    batches = CorpusBatches(
        Corpus(UtteranceBook.open(book), "train", seed=0, level="first"),
        chat_format,
        batch_size=stage.batch_size,
        accumulate=stage.accumulate,
        seed=stage.seed,
    )
    objective = Supervised(model, ctc_weight=stage.ctc_weight, seed=stage.seed)
    train(stage, run, objective=objective, batches=batches, hooks=Hooks(workers=0))
    print(f"process {processes.rank} of {processes.count} is done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

"""Direct preference optimisation: the objective, and what the frozen reference thinks of each pair.

The reference is the model as it stands before the first step. Its log-probabilities never change, so they are computed
once and kept beside the run, by the hash of the pair and of the reference's weights; no second model stays in memory.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from q2a_core.errors import RunError
from q2a_core.files import write_whole
from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.training.loop import Hooks, train
from q2a_core.training.losses import dpo_loss, sequence_logps
from q2a_core.training.objective import Objective
from q2a_core.training.preference.pair_batches import (
    PairBatch,
    PairBatches,
    collate_pairs,
    encode_pair,
)
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.training.processes import Processes
from q2a_core.training.runs.claim import check_folder
from q2a_core.training.runs.layout import CONFIG_FILE, REFERENCE_FILE
from q2a_core.training.stages import StageConfig

PAIRS_AT_ONCE = 8
"""Pairs whose replies are read in one batch."""
METRICS = ("loss", "accuracy", "margin", "chosen", "rejected", "kl")


class Preference(Objective):
    """The sigmoid loss over pairs, and beside it what tells whether it does what it should."""

    def __init__(self, model: Qwen2Audio, *, beta: float, nll_weight: float = 0.0):
        super().__init__(model)
        self.beta = beta
        self.weights = {"loss": 1.0} | ({"nll": nll_weight} if nll_weight else {})

    def counts(self, batch: PairBatch) -> dict[str, int]:
        """Tokens of the chosen replies for `nll`, pairs for every other sum."""
        pairs = len(batch.reference) // 2
        tokens = int((batch.batch.labels[:pairs, 1:] != IGNORE_INDEX).sum())
        return dict.fromkeys(METRICS, pairs) | {"nll": tokens}

    def tokens(self, batch: PairBatch) -> int:
        """Those of chosen and rejected replies, each with its prompt."""
        return batch.batch.input_ids.numel()

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Sums over pairs of loss, reward accuracy, margin, log-probabilities and KL, and over chosen tokens."""
        policy_chosen, policy_rejected = pair_logps(self.model, batch).chunk(2)
        reference_chosen, reference_rejected = batch.reference.chunk(2)
        found = dpo_loss(
            policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=self.beta
        )
        return {name: getattr(found, name).sum() for name in METRICS} | {
            "nll": -policy_chosen.sum()
        }


def pair_logps(model: Qwen2Audio, pairs: PairBatch) -> Tensor:
    """Log-probability of every reply (2B,): the chosen ones, then the rejected ones."""
    batch, audio_embeds = pairs.batch, None
    if batch.mel is not None:
        audio_embeds = model.encode_audio(batch.mel, batch.mel_lengths)
        audio_embeds = torch.cat([audio_embeds, audio_embeds])  # both halves hear the same clips
    hidden_states = model.hidden_states(batch.input_ids, audio_embeds=audio_embeds)
    return sequence_logps(model, hidden_states, batch.labels)


def reply_logps(
    model: Qwen2Audio, pairs: Sequence[PreferencePair], chat_format: ChatFormat
) -> list[tuple[float, float]]:
    """Log-probabilities that `model`, wherever it lies, gives each pair's chosen and rejected reply; no gradients."""
    device, pad_id = model.projector.linear.weight.device, chat_format.pad_id
    found: list[tuple[float, float]] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = [encode_pair(pair, chat_format) for pair in pairs[start : start + PAIRS_AT_ONCE]]
        with torch.no_grad():
            logps = pair_logps(model, collate_pairs(part, pad_id=pad_id).to(device))
        chosen, rejected = logps.chunk(2)
        found += zip(chosen.tolist(), rejected.tolist(), strict=True)
    return found


def weights_hash(model: Qwen2Audio) -> str:
    """SHA-256 over names and values of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def reference_logps(
    model: Qwen2Audio,
    pairs: Sequence[PreferencePair],
    chat_format: ChatFormat,
    cache: Path,
    *,
    processes: Processes,
    same: bool = False,
) -> list[tuple[float, float]]:
    """What `model` as it stands gives each pair's two replies; read from the file `cache` as far as it holds them.

    With `same` the file must be of this very model and these very pairs; raises RunError if it is not.
    """
    weights = weights_hash(model)
    reference = f"{weights} {processes.precision}"
    held = json.loads(cache.read_text("utf-8")) if cache.is_file() else {}
    if same and held.get("reference", reference) != reference:
        theirs, _, precision = held["reference"].partition(" ")
        raise RunError(
            f"{cache.parent.name} began from other weights; resume it with the same --start"
            if theirs != weights
            else f"{cache.parent.name} was begun with --precision {precision}, not {processes.precision}; "
            "resume it with the same one"
        )
    hashes = [pair.hash() for pair in pairs]
    order = hashlib.sha256("".join(hashes).encode()).hexdigest()
    if same and held.get("pairs", order) != order:
        raise RunError(
            f"{cache.parent.name} began with other preference pairs than these {len(pairs)}; "
            "resume it with the same --pairs, --sampled and --absent"
        )
    known = held["logps"] if held.get("reference") == reference else {}
    missing = {name: pair for name, pair in zip(hashes, pairs, strict=True) if name not in known}
    if missing:
        with processes.accelerator.autocast():
            logps = reply_logps(model, list(missing.values()), chat_format)
        known |= dict(zip(missing, logps, strict=True))
    if missing or held.get("pairs") != order:
        cache.parent.mkdir(parents=True, exist_ok=True)
        values = {"reference": reference, "pairs": order, "logps": known}
        write_whole(cache, json.dumps(values))
    return [(known[name][0], known[name][1]) for name in hashes]


def train_dpo(
    stage: StageConfig,
    run: Path,
    *,
    model: Qwen2Audio,
    chat_format: ChatFormat,
    pairs: Sequence[PreferencePair],
    facts: dict[str, Any] | None = None,
    start: dict[str, Any] | None = None,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
) -> Qwen2Audio:
    """Train `model` in place on preference pairs and return it; as it comes, it is the reference too.

    With `resume` give the same start model and pairs again. Raises RunError as `loop.train` does, and for an empty
    list.
    """
    if not pairs:
        raise RunError(
            "there are no preference pairs; expected at least one: give a file with --pairs, "
            "or a larger number to --sampled or --absent"
        )
    processes = Processes(precision)
    if processes.writes:  # the reference of a run that is there already must stay as it is
        check_folder(run, stage, resume=resume)
    model.to(processes.device)
    if not processes.writes:
        processes.wait()
    references = reference_logps(
        model,
        pairs,
        chat_format,
        run / REFERENCE_FILE,
        processes=processes,
        same=resume and (run / CONFIG_FILE).is_file(),
    )
    if processes.writes:
        processes.wait()
    batches = PairBatches(
        pairs,
        references,
        chat_format,
        batch_size=stage.batch_size,
        accumulate=stage.accumulate,
        seed=stage.seed,
    )
    return train(
        stage,
        run,
        objective=Preference(model, beta=stage.beta, nll_weight=stage.nll_weight),
        batches=batches,
        facts={"pairs": len(pairs), "reference": weights_hash(model), **(facts or {})},
        start=start,
        resume=resume,
        hooks=hooks,
        precision=precision,
    )

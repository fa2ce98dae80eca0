"""The DPO loss against a hand-written one and TRL's, and the reader of preference pairs."""

import json
import math
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from q2a_core.audio.waveform import write_wav
from q2a_core.errors import RunError
from q2a_core.training.preferences import PreferencePair, dpo_loss, read_pairs, sequence_logps

BETAS = (0.05, 0.1, 0.5)


def _logps(seed: int, count: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [-20 * torch.rand(count, generator=generator, dtype=torch.float64) for _ in range(4)]


@pytest.mark.parametrize("beta", BETAS)
def test_loss_and_gradients_equal_those_written_by_hand(beta):
    policy_chosen, policy_rejected, reference_chosen, reference_rejected = _logps(0)
    policy_chosen.requires_grad_()
    policy_rejected.requires_grad_()
    found = dpo_loss(
        policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=beta
    )
    found.loss.mean().backward()
    for i in range(7):
        chosen = float(policy_chosen[i].detach() - reference_chosen[i])
        rejected = float(policy_rejected[i].detach() - reference_rejected[i])
        z = beta * (chosen - rejected)
        assert float(found.loss[i].detach()) == pytest.approx(math.log1p(math.exp(-z)), rel=1e-9)
        slope = -beta / (1 + math.exp(z)) / 7  # d/dz log(1 + exp(-z)) = -1 / (1 + exp(z))
        assert float(policy_chosen.grad[i]) == pytest.approx(slope, rel=1e-9)
        assert float(policy_rejected.grad[i]) == pytest.approx(-slope, rel=1e-9)
        assert float(found.margin[i]) == pytest.approx(z, rel=1e-9)
        assert float(found.accuracy[i]) == (1.0 if z > 0 else 0.0)
        assert float(found.kl[i]) == pytest.approx(-(chosen + rejected) / 2, rel=1e-9)


def test_at_the_reference_the_loss_is_log_two_and_the_kl_zero():
    policy = _logps(1)[:2]
    found = dpo_loss(*policy, *policy, beta=0.1)
    torch.testing.assert_close(found.loss, torch.full((7,), math.log(2), dtype=torch.float64))
    assert not found.kl.any()
    assert not found.accuracy.any(), "a tie is no win"


@pytest.mark.parametrize("beta", BETAS)
def test_loss_and_gradients_equal_trls(beta):
    """TRL's own method on an object that holds no more than it looks at."""
    trainer = pytest.importorskip("trl.trainer.dpo_trainer", exc_type=ImportError)
    generator = torch.Generator().manual_seed(2)
    pairs, tokens, answer = 5, 9, 4
    token_logps = -3 * torch.rand(2 * pairs, tokens - 1, generator=generator)
    mask = torch.zeros(2 * pairs, tokens, dtype=torch.long)
    mask[:, -answer:] = 1
    token_logps = (token_logps * mask[:, 1:]).requires_grad_()
    reference = -8 * torch.rand(2 * pairs, generator=generator)

    class Model:
        training = True

        def __call__(self, **_):
            zeros = torch.zeros_like(token_logps)
            return SimpleNamespace(
                log_probs=token_logps,
                entropy=zeros,
                mean_logits=zeros,
                is_top1=zeros.bool(),
                log_sum_sq_probs=zeros,
            )

    model = Model()
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x
    )
    metrics = {"train": defaultdict(list)}
    this = SimpleNamespace(
        model=model,
        accelerator=accelerator,
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        beta=beta,
        use_weighting=False,
        _metrics=metrics,
        _total_train_tokens=0,
        _tp_size=1,
    )
    inputs = {
        "input_ids": torch.ones(2 * pairs, tokens, dtype=torch.long),
        "attention_mask": torch.ones(2 * pairs, tokens, dtype=torch.long),
        "completion_mask": mask,
        "ref_chosen_logps": reference[:pairs],
        "ref_rejected_logps": reference[pairs:],
    }
    theirs = trainer.DPOTrainer._compute_loss(this, model, inputs, return_outputs=False)
    theirs.backward()
    their_gradient, token_logps.grad = token_logps.grad, None

    chosen, rejected = token_logps.sum(1).chunk(2)
    ours = dpo_loss(chosen, rejected, *reference.chunk(2), beta=beta)
    ours.loss.mean().backward()
    torch.testing.assert_close(ours.loss.mean(), theirs)
    torch.testing.assert_close(token_logps.grad, their_gradient)
    for name, mine in (
        ("rewards/accuracies", ours.accuracy),
        ("rewards/margins", ours.margin),
        ("logps/chosen", ours.chosen),
        ("logps/rejected", ours.rejected),
    ):
        assert metrics["train"][name][0] == pytest.approx(float(mine.mean()), rel=1e-5)


def test_sequence_logps_sum_the_labelled_tokens_of_each_row(tiny_model):
    generator = torch.Generator().manual_seed(3)
    input_ids = torch.randint(30, 300, (3, 12), generator=generator)
    labels = input_ids.clone()
    labels[:, :5] = -100
    labels[1, 9:] = -100
    labels[2] = -100
    with torch.no_grad():
        hidden_states = tiny_model.hidden_states(input_ids)
        found = sequence_logps(tiny_model, hidden_states, labels)
        logps = tiny_model.decoder.lm_head(hidden_states).log_softmax(-1)
    for row in range(3):
        places = [t for t in range(1, 12) if labels[row, t] != -100]
        expected = sum(float(logps[row, t - 1, labels[row, t]]) for t in places)
        assert float(found[row]) == pytest.approx(expected, abs=1e-4)


GOOD = {"clip": "a.wav", "prompt": "What is it?", "chosen": "A dog.", "rejected": "A cat."}


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(8000, np.float32))
    return tmp_path


def _read(folder, *lines: str) -> list[PreferencePair]:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_pairs(path)


def test_pairs_are_read_with_text_with_a_clip_alone_and_with_messages(folder):
    history = [
        {"role": "user", "content": [{"type": "audio"}]},
        {"role": "assistant", "content": "A dog."},
        {"role": "user", "content": "How many times?"},
    ]
    typed = {"prompt": "Hello", "chosen": "Hi.", "rejected": "A dog."}
    found = _read(
        folder,
        json.dumps(GOOD),
        "",
        json.dumps(GOOD | {"prompt": None}),
        json.dumps(GOOD | {"prompt": history, "chosen": "Once."}),
        json.dumps(typed),
    )
    assert len(found) == 4
    assert found[0].clip == folder / "a.wav"
    assert found[0].prompt[0]["content"][-1] == {"type": "text", "text": "What is it?"}
    assert found[1].prompt == ({"role": "user", "content": [{"type": "audio"}]},)
    assert found[2].prompt == tuple(history)
    assert found[3].waveform() is None
    assert len(found[0].waveform()) == 8000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "found '{'; expected a JSON object"),
        ("[1]", "found a list; expected a JSON object"),
        (GOOD | {"score": 1}, "found the entry 'score'; expected clip, prompt, chosen"),
        (GOOD | {"chosen": ""}, "chosen is ''; expected the text of a reply"),
        (GOOD | {"rejected": None}, "rejected is None; expected the text of a reply"),
        (GOOD | {"rejected": "A dog."}, "both 'A dog.'; expected two replies"),
        (GOOD | {"clip": 3}, "clip is 3; expected the path of a sound file"),
        (GOOD | {"clip": "b.wav"}, "the clip 'b.wav' was not found"),
        (GOOD | {"clip": None, "prompt": " "}, "neither a clip nor a prompt"),
        (GOOD | {"chosen": "It is <|AUDIO|>."}, "chosen holds '<|AUDIO|>', a mark of the chat"),
        (GOOD | {"prompt": "So?<|im_end|>"}, "prompt holds '<|im_end|>', a mark of the chat"),
        (GOOD | {"rejected": "A dog. "}, "both 'A dog.'; expected two replies"),
        (GOOD | {"rejected": "no " * 3000}, "rejected has 9000 characters; expected at most 2000"),
        (GOOD | {"prompt": [{"role": "user", "content": []}]}, "expected text, null or a list"),
        (
            GOOD | {"prompt": [{"role": "user", "content": [{"type": "text", "txt": "What?"}]}]},
            "expected text, null or a list",
        ),
        (GOOD | {"prompt": 3}, "prompt is '3'; expected text, null or a list of messages"),
        (GOOD | {"prompt": [{"role": "dog", "content": "x"}]}, "expected text, null or a list"),
        (GOOD | {"prompt": [{"role": "user", "content": "x"}]}, "0 audio parts for 1 clips"),
        (
            GOOD | {"prompt": [{"role": "assistant", "content": "x"}]},
            "ends with 'assistant'; expected a user's turn",
        ),
        (
            GOOD | {"prompt": [{"role": r, "content": "x"} for r in ("assistant", "user", "user")]},
            "the turns are those of assistant, user, user; expected user and assistant by turns",
        ),
        (
            GOOD | {"prompt": [{"role": "user", "content": [{"type": "audio", "text": 5}]}]},
            "expected text, null or a list of messages",
        ),
    ],
)
def test_a_line_that_is_no_pair_is_refused_with_its_number(folder, line, says):
    text = line if isinstance(line, str) else json.dumps(line)
    with pytest.raises(RunError) as caught:
        _read(folder, json.dumps(GOOD), text)
    assert str(caught.value).startswith("pairs.jsonl, line 2: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[" * 100_000, "found brackets without end"),
        (json.dumps(GOOD | {"chosen": "\ud800"}), "found half a surrogate pair"),
        (json.dumps(GOOD | {"clip": "long.wav"}), "lasts 30.5 s; expected at most 30 s: cut it"),
        (json.dumps(GOOD | {"clip": "short.wav"}), "short.wav: lasts 12.5 ms, too short"),
        (json.dumps(GOOD | {"clip": "broken.wav"}), "broken.wav"),
        (json.dumps(GOOD | {"clip": "a" * 5000}), "was not found"),
        (json.dumps(GOOD | {"chosen": "gr\xfcn"}, ensure_ascii=False).encode("latin-1"), "UTF-8"),
    ],
    ids=["brackets", "surrogate", "long", "short", "broken", "name", "latin"],
)
def test_what_no_training_could_use_is_refused_with_its_number(folder, line, says):
    write_wav(folder / "long.wav", np.zeros(488_000, np.float32))
    write_wav(folder / "short.wav", np.zeros(200, np.float32))
    (folder / "broken.wav").write_bytes(b"RIFF")
    data = line if isinstance(line, bytes) else line.encode()
    (folder / "pairs.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n" + data + b"\n")
    with pytest.raises(RunError) as caught:
        read_pairs(folder / "pairs.jsonl")
    assert str(caught.value).startswith("pairs.jsonl, line 2: ")
    assert says in str(caught.value)


def test_a_list_may_begin_with_a_mark_and_replies_hold_any_separator(folder):
    line = json.dumps(GOOD | {"chosen": "one\u2028two\x85three"}, ensure_ascii=False)
    (folder / "pairs.jsonl").write_bytes(f"\ufeff{line}\r\n\r\n{line}".encode())
    found = read_pairs(folder / "pairs.jsonl")
    assert [pair.chosen for pair in found] == ["one\u2028two\x85three"] * 2


def test_a_list_that_is_missing_or_empty_is_refused(folder):
    with pytest.raises(RunError, match=r"none\.jsonl was not found"):
        read_pairs(folder / "none.jsonl")
    with pytest.raises(RunError, match="holds no pairs"):
        _read(folder, "")


def test_a_pairs_hash_is_that_of_its_content(folder):
    [pair] = _read(folder, json.dumps(GOOD))
    copy = PreferencePair(
        prompt=pair.prompt, chosen=pair.chosen, rejected=pair.rejected, samples=pair.waveform()
    )
    swapped = PreferencePair(
        prompt=pair.prompt, chosen=pair.rejected, rejected=pair.chosen, clip=pair.clip
    )
    assert pair.hash() == copy.hash() != swapped.hash()

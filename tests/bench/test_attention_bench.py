"""Attention side by side: nobody is timed who computes something else, and the figures follow from the times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import q2a_core
from q2a_core.bench import attention as attention_bench
from q2a_core.bench import everything
from q2a_core.bench.__main__ import main
from q2a_core.bench.attention import run_attention
from q2a_core.bench.attention_cases import Shape, shapes, tensors, theirs
from q2a_core.bench.attention_table import to_markdown
from q2a_core.bench.encoder_stack import bare_stack
from q2a_core.bench.report import BESIDES, ROWS, TOGETHER, named
from q2a_core.errors import Q2AError
from q2a_core.kernels import attention

WHOLE = Shape(name="whole", batch=2, heads=2, width=16, length=24, is_causal=True)
RAGGED = Shape(name="ragged", batch=2, heads=2, width=16, length=20, shares=(1.0, 0.25))


@pytest.fixture(scope="module")
def report():
    return run_attention(device="cpu", repeats=2, only=[WHOLE, RAGGED])


def test_the_report_is_whole(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [row["lengths"] for row in report["rows"]] == [[24, 24], [20, 5]]
    for row, shape in zip(report["rows"], (WHOLE, RAGGED), strict=True):
        assert {"q2a sdpa", "sdpa math"} <= set(row["contenders"])
        assert "sdpa cudnn" in row["left_out"], "there is no GPU"
        assert not set(row["contenders"]) & set(row["left_out"])
        for parts in row["contenders"].values():
            for part, factor in (("forward", 1.0), ("forward_backward", 3.5)):
                figure = parts[part]
                assert len(figure["runs"]) == 2
                speed = factor * shape.flops / figure["seconds"]
                assert figure["tflops"] == pytest.approx(speed / 1e12)
                share = figure["tflops"] / report["matrix_peak_tflops"]
                assert figure["share_of_peak"] == pytest.approx(share)


def test_the_table_names_everybody(report):
    table = to_markdown(report)
    assert table.count(WHOLE.what) == table.count(RAGGED.what) == 2
    assert "q2a sdpa" in table
    assert report["machine"]["torch"] in table


def test_operations_are_counted_over_what_is_valid():
    assert WHOLE.flops == 2 * 2 * (24 * 24) * 16 * 2 * 2 / 2
    assert RAGGED.flops == 2 * 2 * (20 * 20 + 5 * 5) * 16 * 2


@pytest.mark.parametrize("shape", [WHOLE, RAGGED], ids=lambda shape: shape.name)
def test_pytorchs_side_gets_the_same_question(shape):
    q, k, v, _ = (
        x.detach() for x in tensors(shape, device=torch.device("cpu"), dtype=torch.float32)
    )
    lengths = torch.tensor(shape.lengths)
    found = theirs(shape, None, q.device)(q, k, v)
    right = attention(q, k, v, shape.is_causal, lengths, backend="reference")
    for row, count in enumerate(shape.lengths):
        torch.testing.assert_close(found[row, :, :count], right[row, :, :count], rtol=0, atol=1e-5)


def test_wrong_attention_is_not_timed(monkeypatch):
    right = attention_bench.ours

    def wrong(*options):
        return lambda q, k, v: right(*options)(q, k, v) * 1.01

    monkeypatch.setattr(attention_bench, "ours", wrong)
    with pytest.raises(Q2AError, match=r"nothing was timed: .* q2a sdpa is off the reference: out"):
        run_attention(device="cpu", repeats=1, only=[WHOLE])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_wrong_gradient_is_not_timed(place, monkeypatch):
    """The output is right: one of q, k, v learns a hundredth too much."""
    right = attention_bench.ours

    def wrong(*options):
        def attend(*inputs):
            inputs = list(inputs)
            inputs[place] = inputs[place] * 1.01 - 0.01 * inputs[place].detach()
            return right(*options)(*inputs)

        return attend

    monkeypatch.setattr(attention_bench, "ours", wrong)
    with pytest.raises(Q2AError, match=f"off the reference: gradient of {'qkv'[place]} by"):
        run_attention(device="cpu", repeats=1, only=[WHOLE])


def test_what_differs_of_pytorch_is_named_and_left_out(monkeypatch):
    monkeypatch.setattr(attention_bench, "theirs", lambda *_: lambda q, k, v: q)
    (row,) = run_attention(device="cpu", repeats=1, only=[WHOLE])["rows"]
    assert set(row["contenders"]) == {"q2a sdpa"}
    assert all("off the reference" in reason for reason in row["left_out"].values())


def test_every_shape_of_the_model_is_there():
    for on_gpu in (False, True):
        names = {shape.name for shape in shapes(on_gpu=on_gpu)} - {"wide"}
        assert names == {"encoder", "decoder", "mini encoder", "mini decoder"}
    large = shapes(on_gpu=True)
    assert any(s.heads == 20 and s.width == 64 and s.length == 1500 and s.shares for s in large)
    assert max(s.length for s in large if s.name == "decoder" and s.width == 128) == 8192


def test_the_bare_stack_is_the_encoders_own_blocks(tiny_model):
    x = torch.randn(1, 30, tiny_model.audio_encoder.config.d_model)
    with torch.inference_mode():
        found = bare_stack(tiny_model.audio_encoder, x)
        for block in tiny_model.audio_encoder.layers:
            x = block(x, None)
    torch.testing.assert_close(found, x)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--only", "attention", "--repeats", "-1"], "repeats is -1; expected at least 1"),
        (["--only", "attention", "--threads", "-1"], "threads is -1; expected 1 to 1024"),
        (["--only", "decode", "--threads", "99999999999999"], "expected 1 to 1024"),
        (["--only", ""], "no row is called ''; known: first_token, decode"),
        (["--only", "decode,speed"], "no row is called 'speed'; known: first_token, decode"),
        (
            ["--only", "large", "--checkpoint", "nonsense"],
            "no checkpoint is opened by large; leave nonsense",
        ),
        (["--only", "attention", "--json", "nowhere/x.json"], "there is no folder nowhere"),
    ],
    ids=str,
)
def test_misuse_gets_a_sentence_before_anything_is_measured(options, says, capsys):
    assert main(options) == 2
    assert says in capsys.readouterr().err


def test_both_rows_of_a_reply_have_one_name():
    assert named(["generate", "mel"], known=ROWS, together=TOGETHER) == (
        "first_token",
        "decode",
        "mel",
    )
    assert named(None, known=(*ROWS, *BESIDES)) == (*ROWS, *BESIDES)


def test_ctrl_c_is_a_line(monkeypatch, capsys):
    def stopped(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(everything, "run_bench", stopped)
    assert main(["--only", "attention"]) == 130
    assert "stopped; nothing was written" in capsys.readouterr().err


def test_attention_alone_needs_no_transformers(tmp_path):
    program = (
        "import sys\nsys.modules['transformers'] = None\n"
        "from q2a_core.bench import attention as bench\nfrom q2a_core.bench.attention_cases import Shape\n"
        "bench.shapes = lambda on_gpu: [Shape(name='x', batch=1, heads=1, width=16, length=8)]\n"
        "from q2a_core.bench.__main__ import main\n"
        f"sys.exit(main(['--only', 'attention', '--repeats', '1', '--json', {str(tmp_path / 'out.json')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(q2a_core.__file__).parents[1]), "SYSTEMROOT": "C:\\Windows"},
    )
    assert done.returncode == 0, done.stderr
    assert "attention on " in done.stdout
    assert list(json.loads((tmp_path / "out.json").read_text("utf-8"))) == ["attention"]


def test_what_a_part_stops_at_costs_nobody_the_others(monkeypatch):
    """Memory that is full, for instance."""

    def full(**options):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GB")

    monkeypatch.setattr("q2a_core.bench.attention.run_attention", full)
    report = everything.run_bench(only=["attention", "large"])
    assert report["attention"] == {"not_measured": "stopped: CUDA out of memory"}
    table = everything.to_markdown(report)
    assert "Attention: not measured; it stopped: CUDA out of memory." in table
    assert "The real size" in table

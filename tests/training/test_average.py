"""The mean of checkpoints: its numbers, what it says of itself, and what it refuses."""

import pytest
import torch
from typer.testing import CliRunner

from q2a_core import presets
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.cli import train as cli
from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio
from q2a_core.training import stages
from q2a_core.training.average import average
from q2a_core.training.model_card import about_run
from q2a_core.world.mini_tokenizer import mini_chat_format


def write(folder, seed: int, *, config=None, heads=None, log=None):
    model = Qwen2Audio(config or presets.mini())
    model.init_weights(torch.Generator().manual_seed(seed))
    save_checkpoint(
        model,
        folder,
        chat_format=mini_chat_format(),
        dtype=torch.float32,
        about=about_run(stages.sft(seed=seed), step=seed + 5),
        training=heads,
        run_log=log,
    )
    return open_checkpoint(str(folder))


def test_every_weight_is_the_mean_and_the_first_ones_story_goes_on(tmp_path):
    heads = [{"spelling.weight": torch.full((2, 3), value)} for value in (1.0, 4.0)]
    one = write(tmp_path / "one", 1, heads=heads[0], log="{}\n")
    two = write(tmp_path / "two", 2, heads=heads[1])
    mean = open_checkpoint(str(average([one, two], tmp_path / "mean")))
    found = mean.load_model().state_dict()
    for name, weight in one.load_model().state_dict().items():
        expected = (weight + two.load_model().state_dict()[name]) / 2
        torch.testing.assert_close(found[name], expected, atol=2e-3, rtol=1e-3)  # stored in fp16
    assert torch.equal(mean.training_tensors()["spelling.weight"], torch.full((2, 3), 2.5))
    assert mean.about["step"] == 6
    members = mean.about["averaged"]
    assert [member["hash"] for member in members] == [one.hash, two.hash]
    assert "--seed 2" in members[1]["command"]
    assert (mean.directory / "training" / "log.jsonl").read_text("utf-8") == "{}\n"
    card = " ".join((mean.directory / "README.md").read_text("utf-8").split())
    assert f"the mean of it and of two {two.hash}, made by `q2a train sft" in card


def test_the_mean_of_a_mean_names_all_that_went_in(tmp_path):
    """On either side of it: no command is said to have made what was a mean before."""
    one, two, three = (write(tmp_path / str(seed), seed) for seed in (1, 2, 3))
    mean = open_checkpoint(str(average([one, two], tmp_path / "mean")))
    last = open_checkpoint(str(average([three, mean], tmp_path / "last")))
    first = open_checkpoint(str(average([mean, three], tmp_path / "first")))
    cards = [
        " ".join((found.directory / "README.md").read_text("utf-8").split())
        for found in (last, first)
    ]
    both = f"{one.hash}, {two.hash}"
    assert f"That gave {three.hash}; the weights here are the mean of it and of mean" in cards[0]
    assert f"mean {mean.hash}, itself the mean of {both} (`q2a train average`)" in cards[0]
    assert f"gave the first of the runs whose mean is {mean.hash} ({both})" in cards[1]
    assert f"That gave {mean.hash}" not in cards[1]
    inner = last.about["averaged"][1]["averaged"]
    assert [member["hash"] for member in inner] == [one.hash, two.hash]


def test_the_command_writes_the_same(tmp_path):
    one, two = write(tmp_path / "one", 1), write(tmp_path / "two", 2)
    names = [str(one.directory), str(two.directory)]
    done = CliRunner().invoke(cli.app, ["average", *names, "--output", str(tmp_path / "mean")])
    assert done.exit_code == 0, done.output
    again = average([one, two], tmp_path / "again")
    assert open_checkpoint(str(tmp_path / "mean")).hash == open_checkpoint(str(again)).hash
    command = ["average", *names, "--output", str(tmp_path / "mean")]
    refused = CliRunner().invoke(cli.app, command)
    assert "already holds a checkpoint; choose another folder" in str(refused.exception)
    assert CliRunner().invoke(cli.app, [*command, "--replace"]).exit_code == 0


def test_what_does_not_mix_is_refused(tmp_path):
    one, two = write(tmp_path / "one", 1), write(tmp_path / "two", 2)
    other = write(
        tmp_path / "other", 1, config=presets.tiny(vocab_size=presets.mini().decoder.vocab_size)
    )
    for given, target, words in (
        ([one], "mean", "expected two or more"),
        ([one, one], "mean", "given twice"),
        ([one, other], "mean", "other dimensions"),
        ([one, two], "two", "would replace two"),
    ):
        with pytest.raises(RunError, match=words):
            average(given, tmp_path / target)

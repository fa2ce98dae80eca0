"""What is told of this machine is what the shipped reports tell of theirs."""

import json

import torch

from q2a_core import paths
from q2a_core.evaluation.results_file import read_results
from q2a_core.machine import installed_version, machine, machine_in_words
from q2a_core.teaching.lesson_times import read_times
from q2a_core.teaching.readiness import speed


def test_timings_name_their_machine_as_the_shipped_ones_do():
    bench = json.loads((paths.data_samples() / "bench.json").read_text("utf-8"))
    assert list(machine(threads=1)) == list(bench["machine"])
    assert list(speed.machine()) == list(read_times()["machine"])


def test_reports_name_their_machine_as_the_shipped_ones_do():
    report = read_results(paths.data_samples() / "results.json")
    architecture, threads, version, device = report["conditions"]["machine"].split(", ")
    words = machine_in_words(
        threads=int(threads.split()[0]), torch=version.split()[1], device=device
    )
    assert words.partition(", ")[2] == ", ".join([threads, version, device])
    assert machine(threads=1)["architecture"] == words.partition(", ")[0]
    assert " " not in architecture


def test_versions_are_those_that_are_installed():
    about = machine(threads=3)
    assert about["threads"] == 3
    assert about["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert installed_version("no-such-package") is None
    assert about["cores"] >= 1

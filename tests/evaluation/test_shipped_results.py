"""Results that ship beside a checkpoint are of that checkpoint, and the page shows the same figures."""

import json

import pytest

from q2a_core import paths
from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation.tables import report_table

WITH_RESULTS = [
    path for path in paths.shipped_checkpoints().values() if (path / "results.json").is_file()
]


@pytest.mark.parametrize("path", WITH_RESULTS, ids=lambda path: path.name)
def test_results_are_of_the_checkpoint_beside_them(path):
    report = json.loads((path / "results.json").read_text("utf-8"))
    assert report["checkpoint"]["hash"] == open_checkpoint(path).hash
    assert report_table(report).strip() in (path / "RESULTS.md").read_text("utf-8")

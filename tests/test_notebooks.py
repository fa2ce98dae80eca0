"""The notebooks: in step with their masters, without outputs, and running from top to bottom."""

from pathlib import Path

import pytest

from q2a_core import paths

ROOT = Path(__file__).resolve().parents[1]
MASTERS = sorted((ROOT / "notebooks" / "masters").glob("*.py"))


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_the_notebook_is_its_master(master):
    jupytext = pytest.importorskip("jupytext")
    import nbformat

    notebook = nbformat.read(ROOT / "notebooks" / f"{master.stem}.ipynb", as_version=4)
    source = jupytext.read(master)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert len(code) <= 25
    assert not any(
        line.startswith(("def ", "class ")) for cell in code for line in cell.source.splitlines()
    )


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
@pytest.mark.skipif(
    "mini" not in paths.shipped_checkpoints(), reason="needs the shipped checkpoint"
)
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs(master):
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    notebook = nbformat.read(ROOT / "notebooks" / f"{master.stem}.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    assert not [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
        or (output.output_type == "stream" and output.name == "stderr")
    ]

"""Notebooks are run strictly and written plainly."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers import provenance
from helpers.errors import StudyError
from helpers.workflow import lock, notebook

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((provenance.REPOSITORY / "notebooks").glob("*.ipynb"))


def write(path, *cells, parameters='study = "phantom"\nnumber = 3'):
    book = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
    )
    book.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    book.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(book, path)
    return path


def test_parameters_reach_the_notebook_and_a_record_is_kept(tmp_path):
    source = write(
        tmp_path / "a.ipynb",
        "from pathlib import Path\nPath(out).write_text(f'{study} {number}')",
        "from helpers import provenance\nprovenance.made(out)",
        parameters='study = "phantom"\nnumber = 3\nout = ""',
    )
    out = tmp_path / "made.txt"
    done = notebook.run(
        source, tmp_path / "done/a.ipynb", {"study": "femoral", "number": 4, "out": str(out)}, 1
    )
    assert out.read_text() == "femoral 4"
    record = json.loads(done.with_suffix(".json").read_text())
    assert record["parameters"]["number"] == 4 and record["notebook"] == "a.ipynb"
    assert [Path(name).name for name in record["files"]] == ["a.ipynb", "made.txt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stduy": "phantom"}, "no parameter stduy; it takes number, study"),
        ({"study": 3}, "parameter study must be str .*, got 3"),
        ({"number": "many"}, "parameter number must be int .*, got 'many'"),
    ],
)
def test_unknown_and_mistyped_parameters_are_errors(tmp_path, given, message):
    source = write(tmp_path / "a.ipynb", "1")
    with pytest.raises(StudyError, match=message):
        notebook.run(source, tmp_path / "done.ipynb", given)
    assert not (tmp_path / "done.ipynb").exists()


def test_a_failing_cell_is_one_line_and_the_executed_notebook_is_kept(tmp_path):
    source = write(
        tmp_path / "a.ipynb", "x = 1", "raise ValueError('row 7 of images.csv is wrong')"
    )
    with pytest.raises(StudyError) as error:
        notebook.run(source, tmp_path / "done.ipynb", {}, 1)
    kept = tmp_path / "done.failed.ipynb"
    assert str(error.value).splitlines() == [
        f"{source}: cell 2: ValueError: row 7 of images.csv is wrong",
        f"  executed notebook: {kept}",
    ]
    assert kept.is_file() and not (tmp_path / "done.ipynb").exists()


@pytest.mark.slow
def test_a_cell_that_never_ends_is_stopped(tmp_path):
    source = write(tmp_path / "a.ipynb", "import time\ntime.sleep(60)")
    with pytest.raises(StudyError, match="a cell ran longer than"):
        notebook.run(source, tmp_path / "done.ipynb", {}, 0.05)


def test_a_notebook_without_parameters_cell_is_refused(tmp_path):
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "a.ipynb"
    )
    with pytest.raises(StudyError, match="no cell is tagged 'parameters'"):
        notebook.run(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {})
    with pytest.raises(StudyError, match="no such notebook"):
        notebook.run(tmp_path / "none.ipynb", tmp_path / "b.ipynb", {})


def test_there_are_the_ten_notebooks_of_the_study():
    assert [p.stem[:2] for p in NOTEBOOKS][:10] == [f"{n:02d}" for n in range(10)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_prose_parameters_calls_results(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [c for c in book.cells if c.cell_type == "code"]
    assert not any(c.outputs or c.execution_count for c in code), (
        "strip the outputs before committing"
    )
    assert len(book.cells) <= 40
    assert max(len(c.source.splitlines()) for c in code) <= 25
    assert book.cells[0].cell_type == "markdown" and book.cells[0].source.startswith("# ")
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert all("#" in line for line in tagged[0].source.splitlines() if line.strip()), (
        "a comment for each parameter"
    )
    assert not any("sys.path" in c.source for c in code)
    assert {"study", "protocol"} <= set(notebook.parameters(path))


def test_two_runs_of_one_page_do_not_share_its_files(tmp_path):
    source, output = write(tmp_path / "a.ipynb", "1"), tmp_path / "done/a.ipynb"
    output.parent.mkdir()
    held = lock.of(output.parent / ".a.lock", fcntl.LOCK_EX, "the workflow", output)
    with held, pytest.raises(SystemExit, match=r"a\.ipynb: the workflow \(process .* is at work"):
        notebook.run(source, output, {}, 1)
    assert not output.exists()
    notebook.run(source, output, {}, 1)
    assert sorted(p.name for p in output.parent.iterdir()) == ["a.ipynb", "a.json"]


def test_pages_run_at_once_from_a_folder_each_and_none_hears_another(tmp_path, forks):
    source = write(tmp_path / "a.ipynb", "import time\ntime.sleep(1)\nprint(f'said {number}')")
    paths = [str(provenance.REPOSITORY), os.environ.get("PYTHONPATH", "")]
    running = []
    for k in range(3):
        folder = tmp_path / f"folder {min(k, 1)}"  # two of them run in one
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "helpers", "notebook", source, folder / f"{k}.ipynb"]
        running.append(
            subprocess.Popen(
                [*command, "-p", "number", str(k), "--minutes", "1"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for k, process in enumerate(running):
        assert f"said {k}" in process.communicate(timeout=60)[1] and process.returncode == 0
    left = {p.name.split(".")[0] for p in tmp_path.glob("folder*/*")}
    assert left == {"0", "1", "2"}

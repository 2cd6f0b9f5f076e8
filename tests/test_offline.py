"""Nothing needs the network, a home, or a language: tests reach no other machine, nor do the
programs that they start.
"""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request

import nbformat
import pytest
from conftest import REPOSITORY, shrink

from helpers.errors import StudyError
from helpers.models import encoders

pytestmark = pytest.mark.slow


def test_no_connection_leaves_this_machine():
    with pytest.raises(OSError, match="without a network, and asked for 192"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)
    with pytest.raises(OSError, match="without a network, and asked for example"):
        urllib.request.urlopen("https://example.org", timeout=5)


def test_no_program_that_a_test_starts_reaches_another_machine():
    program = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "tests run without a network" in done.stderr


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_weights_that_would_be_downloaded_are_one_line(monkeypatch, tmp_path):
    monkeypatch.delenv("ENCODER_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the library's five attempts
    with pytest.raises(StudyError, match=r"cannot be downloaded .* set ENCODER_WEIGHTS="):
        encoders._files("imagenet", "vgg16")


def test_a_plan_needs_no_home_and_no_language(tmp_path):
    root = shrink(tmp_path / "Bilder von Jürgen")
    asked = {"STUDY": "phantom", "STUDY_ROOT": str(root), "PATH": os.environ["PATH"], "LANG": "C"}
    path = os.pathsep.join([str(REPOSITORY), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--profile", str(REPOSITORY / "profiles/local"), "--directory", str(root)]
    done = subprocess.run(
        [*command, "--dry-run"],
        env=asked | {"PYTHONPATH": path, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "helpers", "plan", "--study", "phantom"]
    done = subprocess.run(
        command, env=asked | {"PYTHONPATH": path}, capture_output=True, check=False
    )
    assert done.returncode == 0 and b"5 of 5 trainings" in done.stdout, done.stderr


def test_a_page_needs_no_network_not_even_that_of_this_machine(tmp_path):
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this system gives no namespace to a user")
    cell = nbformat.v4.new_code_cell("study = 'x'", metadata={"tags": ["parameters"]})
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [cell, nbformat.v4.new_code_cell("print(study)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), tmp_path / "a.ipynb")
    command = [*alone, sys.executable, "-m", "helpers", "notebook", tmp_path / "a.ipynb"]
    done = subprocess.run(
        [*command, tmp_path / "out.ipynb", "-p", "study", "said"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and "said" in done.stderr, done.stderr

"""Notebooks run only through here: strict parameters, a time limit, a one-line error.

papermill alone only warns about a mistyped parameter and then computes with the default.
"""

import argparse
import fcntl
import logging
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import papermill
import yaml
from traitlets.config import Config

from helpers import files, provenance, studies
from helpers.errors import StudyError
from helpers.workflow import lock


def parameters(path: Path | str) -> dict:
    """The parameters a notebook takes, name → default, read from its cell tagged 'parameters'."""
    found = papermill.inspect_notebook(str(path))
    if not found:
        raise StudyError(f"{path}: no cell is tagged 'parameters'; tag the one that holds them")
    return {name: yaml.safe_load(p["default"]) for name, p in found.items()}


def _check(path: Path, given: dict) -> None:
    known = parameters(path)
    if unknown := sorted(set(given) - set(known)):
        raise StudyError(
            f"{path}: no parameter {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
        )
    for name, value in given.items():
        default = known[name]
        numbers = (
            isinstance(default, int | float)
            and isinstance(value, int | float)
            and not isinstance(value, bool)
        )
        if default is not None and not numbers and type(default) is not type(value):
            expected = f"{type(default).__name__} (like {default!r})"
            raise StudyError(f"{path}: parameter {name} must be {expected}, got {value!r}")


def run(path: Path | str, output: Path | str, given: dict, minutes: float = 60) -> Path:
    """Execute a notebook with the given parameters into ``output`` and return that path.

    path: the notebook; given: dict of parameters, each of which the notebook must declare with the
    same type; minutes: limit for each cell. A failing cell raises StudyError with its message and
    the path of the executed notebook, which is kept next to the output as ``*.failed.ipynb``. The
    output appears only when every cell has run.
    """
    path, output = Path(path), Path(output)
    if not path.is_file():
        raise StudyError(f"{path}: no such notebook")
    _check(path, given)
    output.parent.mkdir(parents=True, exist_ok=True)
    own = output.with_name(f".{output.stem}.lock")
    with lock.of(own, fcntl.LOCK_EX, "another run of this page", output):
        part, log = (output.with_name(output.stem + end) for end in (".failed.ipynb", ".made"))
        log.unlink(missing_ok=True)
        record = {"notebook": path.name, "parameters": given, "started": provenance.now()}
        record["sources"] = provenance.code_digest(path)
        _execute(path, part, log, given, minutes)
        _finish(part, output, log, record)
        own.unlink()
    return output


def _execute(path: Path, part: Path, log: Path, given: dict, minutes: float) -> None:
    """Run a notebook into ``part``; what its cells write is noted in ``log``."""
    kernels = [str(Path(__file__).parent), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, kernels))  # helpers.workflow.warm
    paths = [str(provenance.REPOSITORY), os.environ.get("PYTHONPATH", "")]
    # the kernel finds helpers from any folder
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # a progress bar that no page shows
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    os.environ["STUDY_MADE"] = str(log.resolve())
    place = tempfile.mkdtemp(prefix="kernel")
    try:
        papermill.execute_notebook(
            str(path),
            str(part),
            parameters=given,
            execution_timeout=int(minutes * 60),
            log_output=True,
            progress_bar=False,
            kernel_name="python3",
            start_timeout=600,
            cwd=str(provenance.REPOSITORY),
            config=Config({"KernelManager": _spoken_to(place)}),
            # a slow shutdown is interrupted, and says so as an error
            extra_arguments=["--IPKernelApp.log_level=50"],
        )
    except papermill.PapermillExecutionError as error:
        raise StudyError(
            f"{path}: cell {error.cell_index}: {error.ename}: {error.evalue}\n  executed notebook:"
            f" {part}"
        ) from None
    except TimeoutError as error:
        raise StudyError(
            f"{path}: a cell ran longer than {minutes:g} minutes; executed notebook: {part}"
            f" ({error})"
        ) from None
    finally:
        os.environ.pop("STUDY_MADE")
        shutil.rmtree(place, ignore_errors=True)


def _spoken_to(place: str) -> dict:
    """How a kernel is spoken to: through files of its own in a folder, which needs no network, lets
    no other user in, and is no other kernel's, whatever folder each runs in; through ports where
    their names would be longer than the 107 signs that a system allows.
    """
    if len(place) > 90 or not hasattr(socket, "AF_UNIX"):
        return {"transport": "tcp"}
    return {"transport": "ipc", "ip": f"{place}/k"}


def _finish(part: Path, output: Path, log: Path, record: dict) -> None:
    """Move the executed notebook into place; write its record: what it ran with and made."""
    listed = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    log.unlink(missing_ok=True)
    os.replace(part, output)
    made = [
        os.path.relpath(name, studies.ROOT)
        for name in [str(output.resolve()), *dict.fromkeys(listed)]
    ]
    record |= {"finished": provenance.now(), "code": provenance.code_version()}
    files.write_record(record, made, output.with_suffix(".json"), studies.ROOT)


def main(arguments: list[str] | None = None) -> None:
    """Command line: python -m helpers notebook IN OUT [-p name value]… [--minutes N]."""
    parser = argparse.ArgumentParser(prog="helpers notebook", description=main.__doc__)
    parser.add_argument("notebook")
    parser.add_argument("output")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("papermill").setLevel(logging.INFO)
    for noisy in ("traitlets", "papermill.translators", "blib2to3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("papermill").addFilter(_only_output)
    run(args.notebook, args.output, _typed(args.notebook, args.p), args.minutes)


def _typed(path: Path | str, given: list[list[str]]) -> dict:
    """Parameters from the command line: text where the default is ("2024"), else YAML."""
    known = parameters(path) if Path(path).is_file() else {}
    return {n: v if isinstance(known.get(n), str) else yaml.safe_load(v) for n, v in given}


def _only_output(record: logging.LogRecord) -> bool:
    """Keep what a notebook prints; drop papermill's own lines and names ('<Figure …>')."""
    text = record.getMessage().strip()
    return bool(text) and not text.startswith(
        ("Executing ", "Ending Cell", "Input Notebook", "Output Notebook", "<", "Working")
    )

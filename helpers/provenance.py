"""Where a number came from: code, data, parameters, libraries, machine, time."""

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import files

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent
LIBRARIES = (
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "matplotlib",
    "torch",
    "segmentation-models-pytorch",
    "papermill",
)


def digest(value: object) -> str:
    """Short, stable digest of any JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def code_version() -> str:
    """The commit, with '+changes' where tracked files differ; 'unknown' outside a checkout."""
    try:
        run = [
            subprocess.run(
                ["git", *args],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
            for args in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return run[0].stdout.strip() + ("+changes" if run[1].stdout.strip() else "")


def libraries() -> dict[str, str]:
    """Installed versions of the libraries that decide the numbers."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def hardware() -> dict:
    """Processor, cores and system in words."""
    return {
        "processor": processor(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def record(study: Any, **more: Any) -> dict:
    """One dict for a run of a study: what went in and what it ran on; more is added as given."""
    return {
        "study": study.name,
        "protocol": study.protocol,
        "code": code_version(),
        "manifest_sha256": files.sha256(study.root / "images.csv"),
        "libraries": libraries(),
        "hardware": hardware(),
        **more,
    }


def made(*paths: Path | str) -> None:
    """Note files that a notebook wrote, for its runner's record; outside of one nothing."""
    if log := os.environ.get("STUDY_MADE"):
        with open(log, "a", encoding="utf-8") as file:
            file.writelines(f"{path}\n" for path in paths)


#: where a statement holds others; no expression holds one
BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """The statements of a syntax tree, but for what only a type checker reads."""
    yield node
    checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for block in ("orelse",) if checked else BLOCKS:
        for child in getattr(node, block, ()):
            yield from executed(child)


@cache
def _imports(path: Path) -> list[Path]:
    """Files of helpers and tools that a file imports by name (paths); lazy imports count too, those
    for a type checker do not.
    """
    found, text = [], path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        lines = "\n".join("".join(source) for source in cells).splitlines()
        text = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    for node in executed(ast.parse(text)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = path.relative_to(REPOSITORY).parts[: -node.level] if node.level else ()
            base = ".".join([*here, *filter(None, [node.module])])
            targets = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for target in targets:
            if target.split(".")[0] in (PACKAGE.name, "tools"):
                place = REPOSITORY.joinpath(*target.split("."))
                found += [
                    p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()
                ]
    return found


def sources(*starts: Path | str) -> list[str]:
    """Every file of helpers and tools that the given files need, themselves included (sorted list).

    Snakemake takes these as inputs, so that a changed module remakes just what imports it.
    """
    return list(_sources(*map(str, starts)))


def code_digest(*starts: Path | str) -> str:
    """Digest of every file that :func:`sources` names, by content."""
    names = sources(*starts)
    return digest([[name, files.known_sha256(REPOSITORY / name)] for name in names])


@cache
def _sources(*starts: str) -> tuple[str, ...]:
    found, todo = set(), [Path(s).resolve() for s in starts]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [p.resolve() for p in _imports(path)]
    return tuple(sorted(os.path.relpath(p, REPOSITORY) for p in found))

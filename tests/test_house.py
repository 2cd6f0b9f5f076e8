"""The house keeps its rules: rooms import one way, cells decide nothing, files fit schemas."""

import ast
import runpy
import subprocess
import sys
import tomllib

import jsonschema
import nbformat
import pytest
import yaml

from helpers import schemas
from helpers.provenance import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
#: what a cell may not hold: it is prose, the call that computes, or a figure
DECIDING = (
    *(ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp, ast.For, ast.While),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Try, ast.With),
)


def code(path):
    """Every code cell of a notebook but its parameters."""
    cells = nbformat.read(path, as_version=4).cells
    return [
        cell.source
        for cell in cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_cell_is_prose_a_call_or_a_figure(path):
    for source in code(path):
        nodes = list(ast.walk(ast.parse(source)))
        found = [type(node).__name__ for node in nodes if isinstance(node, DECIDING)]
        assert not found, f"{path.name}: {found} in\n{source}"
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        assert "plt" not in names, f"{path.name}: draws by hand in\n{source}"


def test_notebooks_are_enough():
    assert len(NOTEBOOKS) >= 14


def test_rooms_import_one_way():
    """The contracts of pyproject.toml: one-way order, no torch for a statistician, no tools."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "0 broken" in done.stdout


def imported(*modules, then="pass"):
    """Names of all that importing these modules brings, in a process of its own (set of str)."""
    code = f"import sys, {', '.join(modules)}; {then}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_numbers_papers_and_the_intake_need_no_torch():
    """What no contract of imports sees: what libraries bring, and who asks for a network's name."""
    rooms = ("stats", "figures.statistics", "figures.sheets", "papers", "leakage", "models")
    tools = ("tools.audit.__main__", "tools.intake.fetch", "tools.intake.make")
    named = [f"helpers.{room}" for room in (*rooms, "analyses.raters")]
    found = imported(*named, *tools, then="helpers.models.label('vistr')")
    assert "torch" not in found and {"scipy.stats", "helpers.models.catalogue"} <= found


def test_a_start_of_the_workflow_waits_for_no_statistics():
    """Each run of `make study` and each plan imports these first."""
    found = imported("helpers.plan", "helpers.models.catalogue", "helpers.workflow.keep")
    assert "pandas" in found and not found & {"scipy.stats", "matplotlib", "seaborn", "torch"}


def test_no_grammar_of_web_addresses_is_built():
    """It takes a second; jsonschema asks for it, which papermill and nbformat bring as well."""
    found = imported("helpers.workflow.notebook")
    assert {"jsonschema", "papermill"} <= found and "lark" not in found


def test_every_room_has_its_place_in_the_order():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    order = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {name.strip() for layer in order for name in layer.split("|")}
    there = {
        f"helpers.{path.stem}"
        for path in (REPOSITORY / "helpers").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }
    assert placed == there


def test_no_line_escapes_the_formatter():
    for path in (
        p for room in ("helpers", "tools", "tests") for p in (REPOSITORY / room).rglob("*.py")
    ):
        found = [w for w in ("skip", "off") if f"# fmt: {w}" in path.read_text(encoding="utf-8")]
        assert not found, f"{path}: {found}"


SCHEMAS = {
    "data_manifest/*/study.yml": "helpers/study.schema.yml",
    "data_manifest/*/published.yml": "tools/audit/published.schema.yml",
    "examples/audit_example.yml": "tools/audit/published.schema.yml",
    "data_manifest/*/form.yml": "tools/intake/form.schema.yml",
    "tools/intake/form_example.yml": "tools/intake/form.schema.yml",
}


@pytest.mark.parametrize("pattern", SCHEMAS)
def test_every_yaml_fits_its_schema(pattern):
    schema = yaml.safe_load((REPOSITORY / SCHEMAS[pattern]).read_text(encoding="utf-8"))
    found = sorted(REPOSITORY.glob(pattern))
    assert found
    for path in found:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(content))
        assert not errors, f"{path}: {errors[0].message}"


def test_the_columns_are_written_as_the_schema_has_them(capsys):
    schemas.main()
    written = (REPOSITORY / "data_manifest/README.md").read_text(encoding="utf-8")
    assert written == capsys.readouterr().out


#: every program with a request that cannot be met
REQUESTS = (
    "tools.phantom --study nope",
    "tools.intake --study x --data /nowhere",
    "tools.intake.anonymous --data /nowhere --out out --key key",
    "tools.intake.fetch --study nope",
    "tools.audit /nowhere.yml",
    "tools.audit.draft /nowhere.pdf",
    "tools.book --study nope",
    "tools.book.verify --study nope",
    pytest.param("tools.predict --model /nowhere --images /nowhere", marks=pytest.mark.slow),
    "helpers check --study nope --data /nowhere",
    "helpers made /nowhere.json /nowhere",
    "helpers results --study nope",
    "helpers notebook /nowhere.ipynb out.ipynb",
    "helpers keep --study nope",
    "helpers headline --study nope",
    "helpers clean --study ../nope",
    "helpers nothing",
)


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_program_ends_alike(request_, monkeypatch, tmp_path):
    """One line after "error: ", exit code 1; no traceback."""
    program, *arguments = request_.split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(program, run_name="__main__", alter_sys=False)
    assert isinstance(end.value.code, str) and end.value.code.startswith("error: "), end.value.code

"""The bill of materials is the lock, and advisories find the versions that they name; no pickle."""

import ast
import json
import re
import zipfile

import pytest

from helpers import provenance
from helpers.errors import StudyError
from tools.book import sbom

pytestmark = pytest.mark.slow

HASH = "0" * 64
PINS = f"""Pillow==11.0.0 \\
    --hash=sha256:{HASH}
torch==2.7.1 ; sys_platform == 'linux' \\
    --hash=sha256:{HASH}
"""


def record(name="pillow", **affected):
    package = {"ecosystem": "PyPI", "name": name}
    return {"id": "X-1", "summary": "a flaw", "affected": [{"package": package, **affected}]}


def between(*events):
    return [{"type": "ECOSYSTEM", "events": list(events)}]


def test_the_bill_of_this_study_holds_every_pin_and_hash():
    text = sbom.LOCK.read_text(encoding="utf-8")
    document = sbom.bill(text)
    assert document == sbom.bill(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"]
    )
    parts = document["components"]
    assert len(parts) == len(re.findall(r"^[a-zA-Z0-9]", text, re.M)) > 50
    assert sum(
        p["name"].startswith("sha256") for c in parts for p in c["properties"]
    ) == text.count("--hash=sha256:")
    for part in parts:
        assert {"type", "name", "version", "purl", "bom-ref"} <= set(part)
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
    references = [part["bom-ref"] for part in parts]
    assert document["dependencies"][0]["dependsOn"] == references
    assert len(set(references)) == len(references)


def test_the_bill_holds_to_the_schema_of_its_standard():
    reason = "cyclonedx-python-lib[json-validation] is not installed"
    schema = pytest.importorskip("cyclonedx.schema", reason=reason)
    checker = pytest.importorskip("cyclonedx.validation.json", reason=reason)
    check = checker.JsonStrictValidator(schema.SchemaVersion.V1_5)
    text = json.dumps(sbom.bill(sbom.LOCK.read_text(encoding="utf-8")))
    assert check.validate_str(text) is None
    assert check.validate_str(text.replace('"library"', '"book"', 1)) is not None


def test_a_pin_without_a_hash_is_refused():
    with pytest.raises(StudyError, match="is no pin with a hash"):
        sbom.components("numpy==2.0\n")


@pytest.mark.parametrize(
    ("advisory", "found"),
    [
        (record(versions=["11.0.0"]), True),
        (record(versions=["11.0.1"]), False),
        (record(ranges=between({"introduced": "0"}, {"fixed": "11.0.1"})), True),
        (record(ranges=between({"introduced": "0"}, {"fixed": "11.0.0"})), False),
        (record(ranges=between({"introduced": "0"}, {"last_affected": "11.0.0"})), True),
        (record(ranges=between({"introduced": "11.1"})), False),
        (record(ranges=between({"introduced": "0"}, {"fixed": "9"}, {"introduced": "10"})), True),
        (record(name="PILLOW", versions=["11.0.0"]), True),
        (record(name="numpy", versions=["11.0.0"]), False),
        (record(versions=["11.0.0"]) | {"withdrawn": "2026-01-01"}, False),
    ],
)
def test_an_advisory_names_the_versions_it_affects(advisory, found):
    lines = list(sbom.named(sbom.components(PINS), [advisory]))
    assert lines == (["pillow 11.0.0: X-1 a flaw"] if found else []) or (
        found and lines == ["PILLOW 11.0.0: X-1 a flaw"]
    )


@pytest.mark.parametrize("kind", ["file", "folder", "zip"])
def test_advisories_are_read_as_they_come(tmp_path, kind):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(record()))
    if kind == "folder":
        path = tmp_path
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.write(path, "X-1.json")
        path = tmp_path / "all.zip"
    assert [r["id"] for r in sbom.advisories(path)] == ["X-1"]


def test_something_else_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(StudyError, match="no advisories in the OSV format"):
        sbom.advisories(tmp_path / "a.json")


@pytest.mark.parametrize("affected", [5, [5], [{"package": {"name": 1}}], None])
def test_an_advisory_of_another_form_is_refused(tmp_path, affected):
    (tmp_path / "a.json").write_text(json.dumps(record() | {"affected": affected}))
    with pytest.raises(StudyError, match="no advisories in the OSV format"):
        sbom.advisories(tmp_path / "a.json")


@pytest.mark.parametrize("kind", ["deep", "no json", "large", "cut"])
def test_advisories_that_cannot_be_read_are_one_line(tmp_path, monkeypatch, kind):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = {"deep": "[" * 100_000, "no json": "{"}.get(kind, " " * 10_000)
        archive.writestr("X-1.json", text)
    if kind == "large":
        monkeypatch.setattr(sbom, "LARGEST", 9_999)
    if kind == "cut":
        content = path.read_bytes()
        path.write_bytes(content[:32] + bytes(8) + content[40:])
    with pytest.raises(StudyError, match=r"all\.zip: (cannot be read|holds more than 9,999 bytes)"):
        sbom.advisories(path)


def test_no_pickle_is_read_or_written():
    """Beside the linter's rule S301: no way by which a library would unpickle for us."""
    text = (provenance.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert '"S301"' in text
    for profile in (provenance.REPOSITORY / "profiles").rglob(
        "*.yaml"
    ):  # the workflow's own pickle
        assert "trust-io-cache" not in profile.read_text(encoding="utf-8")
    modules = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    for room in ("helpers", "tools", "benchmarks"):
        for path in (provenance.REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = {getattr(node, "module", None), *(alias.name for alias in node.names)}
                    assert not names & modules, path
                if isinstance(node, ast.Call):
                    call = ast.unparse(node.func)
                    assert call not in ("torch.load", "torch.save", "pd.read_pickle"), path
                    assert not call.endswith(".to_pickle"), path
                    allowed = [k for k in node.keywords if k.arg == "allow_pickle"]
                    assert all(k.value.value is False for k in allowed), path

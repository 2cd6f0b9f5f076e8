"""The book as an RO-Crate: its files, hashes, times and parameters are those of the run."""

import json
import re

import pytest
from report_run import FRONT, built

from helpers import files, provenance, studies
from helpers.errors import StudyError
from tools.book import crate, manuscript, sbom, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield built(tmp_path_factory.mktemp("phantom"), patch, FRONT)


@pytest.fixture(scope="module")
def book(study):
    return studies.ROOT / "reports" / "phantom" / "book"


@pytest.fixture(scope="module")
def entities(book):
    graph = json.loads((book / crate.NAME).read_text(encoding="utf-8"))["@graph"]
    assert len({e["@id"] for e in graph}) == len(graph)
    return {e["@id"]: e for e in graph}


def references(value):
    if isinstance(value, dict):
        yield from [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_file_is_there_with_its_hash(book, entities):
    hashed = {name: e["sha256"] for name, e in entities.items() if "sha256" in e}
    inside = [name for name, e in entities.items() if e["@type"] == "File"]
    assert set(inside) == {part["@id"] for part in entities["./"]["hasPart"]}
    assert {"index.html", "tables/t_front.csv", "figures/front.svg"} < set(inside)
    assert {"results/per_image.csv", "sbom.cdx.json", "manifest/study.yml"} < set(inside)
    assert set(inside) < set(hashed)
    for name, digest in hashed.items():
        path = studies.ROOT / name[1:] if name.startswith("#") else book / name
        if name == "#requirements.lock":
            path = provenance.REPOSITORY / name[1:]
        assert files.sha256(path) == digest, name
    bill = json.loads((book / crate.BILL).read_text(encoding="utf-8"))
    assert bill == sbom.bill(sbom.LOCK.read_text(encoding="utf-8"))


def test_a_step_has_its_parameters_times_code_inputs_and_outputs(entities):
    step = entities["#00_summary"]
    assert step["startTime"] == "2026-01-01T00:00:00+00:00"
    assert step["endTime"] == "2026-01-01T00:00:05+00:00"
    assert entities[step["instrument"]["@id"]]["softwareVersion"] == "abc"
    read = [entities[name] for name in references(step["object"])]
    given = {e["name"]: e["value"] for e in read if e["@type"] == "PropertyValue"}
    assert given == {"study": "phantom", "protocol": "quick"}
    names = {e["@id"] for e in read}
    assert {"#data_manifest/phantom/images.csv", "results/per_image.csv"} < names
    made = set(references(step["result"]))
    assert made == {
        "notebooks/00_summary.ipynb",
        "tables/t_front.csv",
        "figures/front.svg",
        "figures/front.png",
    }
    learned = entities["#train_unet_main_11"]
    assert "#runs/phantom/train/unet/main_11/weights.safetensors" in references(learned["result"])
    assert "notebooks/train_unet_main_11.ipynb" in references(learned["result"])
    counts = [*references(entities["#results"]["object"])]
    assert counts == [f"#runs/phantom/train/{m}/main_11/counts.csv" for m in ("qvum", "unet")]


def test_nothing_is_named_that_is_not_described(entities):
    named = {name for e in entities.values() for name in references(list(e.values()))}
    assert {n for n in named if not n.startswith("http")} <= set(entities)


def test_people_and_licence_are_those_of_the_citation(entities):
    root = entities["./"]
    assert root["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    assert [entities[n]["name"] for n in references(root["author"])] == [
        "The Q-VUM study contributors"
    ]
    author = crate._person({"given-names": "Ada", "family-names": "Lovelace"})
    assert author == {"@id": "#Ada-Lovelace", "@type": "Person", "name": "Ada Lovelace"}


def test_a_known_library_reads_it(study, book):
    rocrate = pytest.importorskip("rocrate.rocrate")
    read = rocrate.ROCrate(book)
    assert read.name == study.title
    assert len(read.data_entities) == len({e.id for e in read.data_entities}) > 10
    step = next(e for e in read.contextual_entities if e.id == "#00_summary")
    assert step.type == "CreateAction" and step["instrument"]["softwareVersion"] == "abc"
    assert all(e["sha256"] for e in read.data_entities)


def test_verification_makes_it_again(study, book):
    place, path = book.parent, book / crate.NAME
    kept = path.read_bytes()
    assert not [*verify.seals(place), *verify.hashes(study, place), *verify.rebuilt(study, place)]
    path.write_bytes(kept.replace(b"00:00:05", b"00:00:04", 1))
    assert list(verify.rebuilt(study, place)) == [f"{path}: is not what the run gives"]
    path.write_bytes(kept)


def test_verification_computes_the_numbers_of_a_manuscript_again(study, book, capsys):
    draft = book.parent / manuscript.NAME
    draft.write_text("Dice [0.33](book/tables/t_front.csv#cell=2,2)\n", encoding="utf-8")
    verify.verify(study, quick=True)
    assert "every number of the manuscript, from its cell: as made" in capsys.readouterr().out
    draft.write_text("Dice [0.34](book/tables/t_front.csv#cell=2,2)\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"'0.34' is not what book/tables/t_front.csv, row 2"):
        verify.verify(study, quick=True)
    draft.unlink()


def test_the_search_box_finds_a_number_and_a_table(book):
    text = (book / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))

    def pages(word):
        found = index["terms"].get(word, [])
        return {index["docnames"][i] for i in (found if isinstance(found, list) else [found])}

    shown = (book / "index.html").read_text(encoding="utf-8")
    number = re.search(r"<td[^>]*>(0\.33\d*)</td>", shown)[1]
    assert "index" in pages(number) and "index" in pages("table 1")
    splitter = (book / "_static" / "language_data.js").read_text(encoding="utf-8")
    assert r"/(?:table|figure) \d+(?:\.\d+)?|\d+\.\d+|" in splitter

"""Nothing that a study or a request says is ever run: names with a shell's signs in them are used
as they stand, or refused, and either way nothing was touched.
"""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, ROOMS, workflow
from PIL import Image

from helpers import files, studies
from helpers.workflow import settings

pytestmark = pytest.mark.slow

HOSTILE = (
    "$(touch x)",
    "`touch x`",
    "a;touch x",
    "a' ;touch x;'",
    'a" ;touch x;"',
    "a\ntouch x\n",
    "a|touch x",
    "a&touch x",
    "${IFS}$(touch${IFS}x)",
    "{touch,x}",
    "a>x",
)
SENTENCE = " ".join(HOSTILE)


def touched(*folders):
    """Files called x, which no command may have made."""
    return [p for folder in folders for p in (folder / "x", folder / "runs" / "x") if p.exists()]


@pytest.fixture
def root(tmp_path):
    """A study of twelve pictures whose words, names and paths are full of a shell's signs."""
    root, data = tmp_path / "tree $(touch x)", tmp_path / "data ;touch x; '`touch x`"
    folder = root / "data_manifest/odd"
    folder.mkdir(parents=True)
    data.mkdir()
    content = yaml.safe_load((REPOSITORY / "data_manifest/femoral/study.yml").read_text("utf-8"))
    content |= {"title": SENTENCE, "question": SENTENCE, "note": SENTENCE, "citation": SENTENCE}
    content["headline"] = "femoral_unet"
    content["split"] = {"policy": "given", "unit": "patient", "reason": SENTENCE}
    quick = content["protocols"]["quick"]
    quick |= {"image_size": 16, "epochs": 1, "batch": 2, "seeds": [1], "describe": SENTENCE}
    quick["models"] = [{"name": "femoral_unet"}]
    quick.pop("cross_validation", None)
    content["protocols"] = {"quick": quick}
    (folder / "study.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    rng, rows = np.random.default_rng(0), []
    for k in range(12):
        names = [f"{kind}{k} $(touch x);'`touch x`\".png" for kind in "im"]
        for name, top in zip(names, (256, 2), strict=True):
            Image.fromarray(rng.integers(0, top, (20, 20), dtype=np.uint8)).save(data / name)
        person = f"p{k // 2} {HOSTILE[k // 2]}"
        hashes = [files.sha256(data / name) for name in names]
        split = ("train", "val", "test")[k // 2 % 3]
        rows.append([f"i{k}", person, *names, split, *hashes, HOSTILE[k % 11]])
    # neighbours of the manifest that no step reads
    (root / "data_manifest/{evil}").mkdir()
    for name in ("{evil}/published.yml", "odd/{x}.csv", "odd/.part-1-a.csv"):
        (root / "data_manifest" / name).write_text("papers: {}\n", encoding="utf-8")
    (root / "data_manifest/odd/folder.csv").mkdir()
    columns = ["image_id", "patient_id", "image", "mask", "split", "sha256_image", "sha256_mask"]
    table = pd.DataFrame(rows, columns=[*columns, "device"]).assign(pixel_spacing_mm="")
    files.write_csv(table, folder / "images.csv")
    for room in ROOMS:
        (root / room).symlink_to(REPOSITORY / room)
    return root


@pytest.mark.slow
def test_a_study_full_of_commands_runs_and_runs_none_of_them(root):
    data = root.parent / "data ;touch x; '`touch x`"
    record = "runs/odd/train/femoral_unet/main_1/03_train.json"
    done = workflow(root, record, "runs/odd/printed.json", study="odd", data=str(data))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert json.loads((root / record).read_text(encoding="utf-8"))["files"]
    counts = files.read_csv(root / "runs/odd/train/femoral_unet/main_1/counts.csv", dtype=str)
    assert set(counts["patient_id"]) == {f"p{k} {HOSTILE[k]}" for k in range(6)}
    assert not touched(root, root.parent, data, REPOSITORY)


def change(root, edit):
    path = root / "data_manifest/odd/study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(content, content["protocols"]["quick"])
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def asked(root, field, text):
    """A request, name → value, in which one name is hostile: in study.yml or in itself."""
    found = {"study": "odd", "protocol": "quick", "data": str(root)}
    if field == "network":
        change(root, lambda content, quick: quick["models"].append({"name": text}))
    elif field == "library":
        change(root, lambda content, quick: quick["models"].append({"name": f"smp:Unet/{text}"}))
    elif field == "class":
        change(root, lambda content, quick: content["classes"][1].update(name=text))
    else:
        found[field] = text
    return found


FIELDS = ("network", "library", "class", "protocol", "study")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", FIELDS)
def test_a_name_that_becomes_a_path_or_an_argument_is_refused(root, field, text, monkeypatch):
    """By the two functions that the Snakefile asks before anything else."""
    request = asked(root, field, text)
    monkeypatch.setattr(studies, "ROOT", root)
    monkeypatch.setattr(settings, "_build_networks", lambda study: pytest.fail("not refused"))
    with pytest.raises(SystemExit, match="error: "):
        settings.refuse(settings.begin(request["study"], request["protocol"], request["data"])[0])
    assert not (root / "runs").exists() and not touched(root, root.parent, REPOSITORY)


@pytest.mark.parametrize(("field", "text"), [*zip(FIELDS, HOSTILE, strict=False)])
def test_the_workflow_refuses_such_a_name_before_it_does_anything(root, field, text):
    done = workflow(root, **asked(root, field, text))
    assert done.returncode != 0 and "error: " in done.stderr
    assert not (root / "runs").exists() and not touched(root, root.parent, REPOSITORY)


@pytest.mark.parametrize("text", [*HOSTILE, "$(shell touch x)", "$$(touch x)"])
def test_a_variable_of_make_is_a_text(tmp_path, text):
    """`clean` stands for every target: it needs no environment, and takes its name the same way."""
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "clean", f"STUDY={text}"]
    asked = {"STUDY_ROOT": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and "name one study" in done.stderr
    assert not touched(tmp_path, REPOSITORY)


def test_make_hands_on_values_and_evaluates_none(tmp_path):
    """A default is expanded before it is handed on, what a user gives never is."""
    weights = tmp_path / "weights/vgg16_imagenet_features.safetensors"
    weights.parent.mkdir()
    weights.touch()
    shown = tmp_path / "show.mk"
    shown.write_text(
        f'include {REPOSITORY}/Makefile\nshow: ; @printf "%s\\n" "$$ENCODER_WEIGHTS" "$$DATA"\n'
    )

    def show(*given):
        environment = {k: v for k, v in os.environ.items() if k != "ENCODER_WEIGHTS"}
        done = subprocess.run(
            ["make", "-s", "-f", shown, "show", *given],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    touch = f"$(shell touch {tmp_path}/touched)"
    assert show(f"QVUM_DATA={tmp_path}/data", "DATA=a b")[1] == "a b"
    (tmp_path / "data").mkdir()
    assert show(f"QVUM_DATA={tmp_path}/data")[0] == f"{tmp_path}/data/../weights/{weights.name}"
    assert show(f"ENCODER_WEIGHTS={touch}", f"DATA={touch}") == [touch, touch]
    assert show(f"QVUM_DATA={touch}")[0] == ""
    assert not (tmp_path / "touched").exists()


def test_no_target_evaluates_a_variable(tmp_path):
    """make expands a recipe before it prints it: a dry run shows what would be run."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    names = re.search(r"NAMES := (.*)", text)[1].split()
    own = re.findall(r"^(?:override )?([A-Z]+) *[:?]?= ", text, re.MULTILINE)
    targets = re.search(r"\.PHONY: (.*)", text)[1].split()
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    given = [f"{name}=$(shell touch {tmp_path}/x)" for name in dict.fromkeys([*names, *own])]
    command = ["make", "-n", "-f", str(REPOSITORY / "Makefile"), *targets, *given]
    # as from a terminal: a make above this one would hand on its own variables
    alone = {k: v for k, v in os.environ.items() if k not in names and not k.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"touch {tmp_path}" not in done.stdout and not (tmp_path / "x").exists()
    # whatever an environment says is one word or none, and a shell reads it once
    asked = os.environ | dict.fromkeys(names, "$(touch x)`touch x`;touch x")
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "clean"]
    subprocess.run(command, cwd=tmp_path, env=asked, capture_output=True, check=False)
    assert not touched(tmp_path, REPOSITORY)


def test_make_gives_a_user_whom_nobody_knows_a_home_and_a_name(tmp_path):
    """As in a container that runs under a number: what looks for a home or a name found none."""
    shown = tmp_path / "show.mk"
    shown.write_text(
        f'include {REPOSITORY}/Makefile\nshow: ; @printf "%s\\n" "$$HOME" "$$USER" "$$LOGNAME"\n'
    )

    def show(**known):
        command = ["make", "-s", "-f", shown, "show"]
        environment = {"PATH": os.environ["PATH"]} | known
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split("\n")[:3]

    # of a user without a name: its number
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=False).stdout.strip()
    assert show() == [str(tmp_path / ".snakemake/home"), me, ""]
    assert show(HOME="/h", USER="u") == ["/h", "u", ""]
    assert show(HOME="/h", LOGNAME="l") == ["/h", "", "l"]


@pytest.mark.parametrize("place", [".", ".snakemake"])
def test_a_tree_of_somebody_else_s_is_refused_in_one_line(tmp_path, place):
    """The workflow's own program would end in a traceback; of a plan too."""
    (tmp_path / ".snakemake").mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.ready").touch()
    (tmp_path / place).chmod(0o555)
    if os.access(tmp_path / place, os.W_OK):
        pytest.skip("this user may write everywhere")
    for target in ("plan", "study", "book"):
        done = subprocess.run(
            ["make", "-f", str(REPOSITORY / "Makefile"), target],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode and "cannot be written to; free it" in done.stderr
        assert "Traceback" not in done.stderr
    (tmp_path / place).chmod(0o755)

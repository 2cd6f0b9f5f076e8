"""``make data``: fetch the public files of a study, verify them, and never leave half a file in
place.

``pooch`` fetches: a file gets its name only when its sha256 is that of images.csv, what breaks off
or turns out wrong is tried again. Files that are in place are not fetched again, so that a second
run goes on where the first ended.
"""

import argparse
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pooch
import requests

from helpers import studies
from helpers.errors import StudyError, command, raise_all
from helpers.files import sha256
from helpers.readers import files_of, suffix

TRIES = 4
SECONDS = 30  # without a byte
AGAIN = (408, 425, 429, 500, 502, 503, 504)
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "licence"],
    "properties": {
        "url": {"type": "string", "pattern": r"\{path\}"},
        "licence": {"type": "string"},
        "terms": {"type": "string"},
    },
}


def source(study: studies.Study) -> dict:
    """The validated content of data_manifest/<study>/source.yml; StudyError where there is none."""
    path = study.root / "source.yml"
    if not path.is_file():
        if study.generator:
            raise StudyError(
                f"STUDY={study.name}: its images are drawn; `make study STUDY={study.name}` does it"
            )
        raise StudyError(
            f"{path}: no such file: the images of {study.name} are not public; ask their owners for"
            " them"
        )
    content = studies.read_yaml(path)
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(content)
    raise_all(
        (f"{'.'.join(map(str, e.absolute_path)) or 'top level'}: {e.message}" for e in errors), path
    )
    address = urllib.parse.urlsplit(content["url"])
    if address.scheme != "https" and address.hostname != "127.0.0.1":
        raise StudyError(f"{path}: url: only https:// is fetched, found {address.scheme}://")
    return content


def files(study: studies.Study) -> list[tuple[str, str]]:
    """(path relative to DATA, sha256) of every image and mask of images.csv, excluded ones too."""
    frame = studies.read_csv(study.root / "images.csv", studies.IMAGES)
    pairs = [
        *zip(frame["image"], frame["sha256_image"], strict=True),
        *zip(frame["mask"], frame["sha256_mask"], strict=True),
    ]
    several = (".mhd", ".nhdr")  # a header, and its values
    if together := [n for n, _ in pairs if len(files_of(n)) > 1 or suffix(n) in several]:
        raise StudyError(
            f"{study.root / 'images.csv'}: {together[0]} are several files with one sha256, which"
            " cannot be fetched; ask the owners for the images"
        )
    known = {files_of(name)[0].as_posix(): digest for name, digest in pairs}
    outside = [n for n in known if Path(n).is_absolute() or ".." in Path(n).parts]
    raise_all((f"{n}: leads out of the DATA folder" for n in outside), study.root / "images.csv")
    return sorted(known.items())


class Downloader(pooch.HTTPDownloader):
    """As pooch's, but what a server refuses for good is not asked for again."""

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> Any:
        try:
            return super().__call__(url, output_file, pooch, check_only)
        except requests.HTTPError as error:
            answer: Any = error.response  # there is one where there is a status
            if answer.status_code in AGAIN:
                raise
            raise OSError(_said(error)) from error  # which pooch lets through


def _said(error: Any) -> str:
    return f"the server answers {error.response.status_code} {error.response.reason}"


def fetch(url: str, target: Path | str, digest: str) -> str:
    """Fetch one file to target unless it is there already. Returns 'present', 'fetched'; StudyError
    says why not.
    """
    target = Path(target)
    if target.exists():
        if sha256(target) == digest:
            return "present"
        raise StudyError(
            f"{target}: is there already, but is another file than the manifest's; move it away"
            " first"
        )
    source = pooch.create(
        target.parent,
        base_url="",
        registry={target.name: f"sha256:{digest}"},
        urls={target.name: url},
        retry_if_failed=TRIES - 1,
    )
    try:
        source.fetch(target.name, downloader=Downloader(timeout=SECONDS))
    except requests.HTTPError as error:
        raise StudyError(f"{url}: {_said(error)}, {TRIES} times") from None
    except requests.RequestException as error:
        raise StudyError(
            f"{url}: the connection breaks off ({error}), {TRIES} times; run again to go on"
        ) from None
    except ValueError:
        raise StudyError(
            f"{url}: what arrives has another sha256 than images.csv says, {TRIES} times"
        ) from None
    except OSError as error:
        raise StudyError(f"{url}: {error}; see source.yml") from None
    return "fetched"


def main(arguments: list[str] | None = None) -> None:
    """Command line: fetch the images of a study. python -m tools.intake.fetch --study NAME [--out
    FOLDER].
    """
    parser = argparse.ArgumentParser(prog="tools.intake.fetch", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--out", help="folder for the images; default runs/<study>/data")
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args(arguments)
    study = studies.load(args.study)
    out = Path(args.out) if args.out else study.run / "data"
    everything(study, out, args.connections)
    print(f"complete and verified: {out}\nnext: make study STUDY={study.name} DATA={out}")


def everything(study: studies.Study, out: Path | str, connections: int = 8) -> None:
    """Fetch every file of a study into a folder; StudyError lists each that failed, the others are
    in place.
    """
    where, wanted, problems = source(study), files(study), []
    pooch.get_logger().setLevel("ERROR")  # what fails is told below
    print(f"{len(wanted)} files, licence {where['licence']}, to {out}", flush=True)

    def one(item: tuple[str, str]) -> str:
        try:
            return fetch(
                where["url"].format(path=urllib.parse.quote(item[0])),
                Path(out) / item[0],
                item[1],
            )
        except StudyError as error:
            problems.append(str(error))
            return "failed"

    with ThreadPoolExecutor(connections) as pool:
        for number, _ in enumerate(pool.map(one, wanted), 1):
            if number % 100 == 0 or number == len(wanted):
                print(f"{number} of {len(wanted)} files, {len(problems)} failed", flush=True)
    raise_all(
        sorted(problems),
        f"{study.name}: {len(wanted) - len(problems)} of {len(wanted)} files are complete",
    )


if __name__ == "__main__":
    command(main)

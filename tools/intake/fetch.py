"""``make data``: fetch the public files of a study, resume, verify, and never leave half a file in
place.

Every file comes to ``<name>.part`` and moves to its name only when its sha256 is that of
images.csv. A part stays for the next run to go on from; one that turns out wrong is deleted.
"""

import argparse
import http.client
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema

from helpers import studies
from helpers.errors import StudyError, raise_all
from helpers.files import sha256

TRIES = 4
SECONDS = 30  # without a byte
LIMIT = 1 << 30  # no single image is larger; a server that goes on is cut off
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


def source(study):
    """The validated content of data_manifest/<study>/source.yml; StudyError where there is none."""
    path = study.root / "source.yml"
    if not path.is_file():
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


def files(study):
    """(path relative to DATA, sha256) of every image and mask of images.csv, excluded ones too."""
    frame = studies.read_csv(study.root / "images.csv", studies.IMAGES)
    pairs = [
        *zip(frame["image"], frame["sha256_image"], strict=True),
        *zip(frame["mask"], frame["sha256_mask"], strict=True),
    ]
    known = {name.partition("#")[0]: digest for name, digest in pairs}
    outside = [n for n in known if Path(n).is_absolute() or ".." in Path(n).parts]
    raise_all((f"{n}: leads out of the DATA folder" for n in outside), study.root / "images.csv")
    return sorted(known.items())


def _stream(url, part, timeout):
    """Append to the part what it lacks of the file; a server that cannot resume makes it start
    again.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        with part.open("ab" if have and goes_on else "wb") as out:
            while block := answer.read(1 << 16):
                out.write(block)
                if out.tell() > LIMIT:
                    raise StudyError(
                        f"{url}: sends more than {LIMIT >> 20} MB; no image is that large"
                    )
        missing = answer.length  # what Content-Length promised and the connection did not bring
        if missing:
            raise http.client.IncompleteRead(b"", missing)


def fetch(url, target, digest, timeout=SECONDS, wait=1.0):
    """Fetch one file to target unless it is there already. Returns 'present', 'fetched'; StudyError
    says why not.

    Broken connections and busy servers are tried TRIES times, going on from what has arrived; a
    file whose sha256 is wrong is fetched once more from the start, then refused. wait: seconds
    before the second try, doubled each time.
    """
    target = Path(target)
    if target.exists():
        if sha256(target) == digest:
            return "present"
        raise StudyError(
            f"{target}: is there already, but is another file than the manifest's; move it away"
            " first"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part, why = target.with_name(target.name + ".part"), "nothing arrived"
    for attempt in range(TRIES):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            _stream(url, part, timeout)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the part is as long as the file or longer: checked below
                pass
            elif error.code in AGAIN:
                why = f"the server answers {error.code}"
                continue
            else:
                raise StudyError(
                    f"{url}: the server answers {error.code} {error.reason}; see source.yml"
                ) from None
        except (http.client.HTTPException, OSError) as error:  # URLError and time-outs are OSErrors
            why = f"the connection breaks off ({error})"
            continue
        if sha256(part) == digest:
            os.replace(part, target)
            return "fetched"
        part.unlink()
        why = "what arrives has another sha256 than images.csv says"
    kept = f"; {part.stat().st_size} bytes are kept, run again to go on" if part.exists() else ""
    raise StudyError(f"{url}: {why}, {TRIES} times{kept}")


def main(arguments=None):
    """Command line: fetch the images of a study. python -m tools.intake.fetch --study NAME [--out
    FOLDER].
    """
    parser = argparse.ArgumentParser(prog="tools.intake.fetch", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--out", help="folder for the images; default runs/<study>/data")
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args(arguments)
    try:
        study = studies.load(args.study)
        out = Path(args.out) if args.out else study.run / "data"
        everything(study, out, args.connections)
    except StudyError as error:
        sys.exit(f"error: {error}")
    print(f"complete and verified: {out}\nnext: make study STUDY={study.name} DATA={out}")


def everything(study, out, connections=8, wait=1.0):
    """Fetch every file of a study into a folder; StudyError lists each that failed, the others are
    in place.
    """
    where, wanted, problems = source(study), files(study), []
    print(f"{len(wanted)} files, licence {where['licence']}, to {out}", flush=True)

    def one(item):
        try:
            return fetch(
                where["url"].format(path=urllib.parse.quote(item[0])),
                Path(out) / item[0],
                item[1],
                wait=wait,
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
    main()

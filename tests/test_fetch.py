"""Fetching from a server that breaks off, lies and errs: what is in place is whole and right,
always.
"""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
import pytest

from helpers import studies
from helpers.errors import StudyError
from tools.intake import fetch

CONTENT = np.random.default_rng(0).bytes(200_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URL = "https://example.org/repo/{path}"


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT under any path; the first part of the path says how it misbehaves."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.log.append(self.path)
        how, times = self.path.split("/")[1], self.server.log.count(self.path)
        body, length = CONTENT, len(CONTENT)
        if how == "missing":
            return self.send_error(404)
        if how == "always-busy" or (how == "busy" and times < 3):
            return self.send_error(429)
        if how == "always-breaks" or (how == "breaks" and times < 3):
            body = body[: length // 3]
        if how == "short":  # promises less than the file
            body, length = body[:1000], 1000
        if how == "long":  # promises more than the file
            length += 500
        if how == "wrong-byte" or (how == "once-wrong" and times < 2):
            body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.log = []
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{running.server_port}", log=running.log)
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)


def get(server, how, target, digest=DIGEST):
    return fetch.fetch(f"{server.url}/{how}/a.jpg", target, digest)


@pytest.mark.parametrize("how", ["well", "breaks", "busy", "once-wrong"])
def test_arrives_whole(tmp_path, server, how):
    target = tmp_path / "deep" / "a.jpg"
    assert get(server, how, target) == "fetched"
    assert [p.name for p in target.parent.iterdir()] == ["a.jpg"]
    assert target.read_bytes() == CONTENT
    asked = len(server.log)
    assert get(server, how, target) == "present" and len(server.log) == asked


@pytest.mark.parametrize(
    ("how", "asked", "message"),
    [
        ("missing", 1, "{url}: the server answers 404 Not Found; see source.yml"),
        ("always-busy", 4, "{url}: the server answers 429 Too Many Requests, 4 times"),
        ("short", 4, "{url}: what arrives has another sha256 than images.csv says, 4 times"),
        ("wrong-byte", 4, "{url}: what arrives has another sha256 than images.csv says, 4 times"),
        ("always-breaks", 4, "{url}: the connection breaks off (…), 4 times; run again to go on"),
        ("long", 4, "{url}: the connection breaks off (…), 4 times; run again to go on"),
    ],
)
def test_refused_and_nothing_left(tmp_path, server, how, asked, message):
    with pytest.raises(StudyError) as raised:
        get(server, how, tmp_path / "a.jpg")
    told = re.sub(r"\(.*\)", "(…)", str(raised.value))
    assert told == message.format(url=f"{server.url}/{how}/a.jpg")
    assert list(tmp_path.iterdir()) == [] and len(server.log) == asked


def test_no_server(tmp_path):
    with pytest.raises(StudyError, match=r"the connection breaks off \(.*refused.*\), 4 times"):
        fetch.fetch("http://127.0.0.1:9/a", tmp_path / "a.jpg", DIGEST)


def test_file_of_the_user_is_not_overwritten(tmp_path, server):
    (tmp_path / "a.jpg").write_bytes(b"mine")
    with pytest.raises(
        StudyError,
        match="is there already, but is another file than the manifest's; move it away first",
    ):
        get(server, "well", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == b"mine" and server.log == []


def manifest(tmp_path, url, rows=3, image="images/{k}.jpg"):
    root = tmp_path / "manifest"
    root.mkdir(exist_ok=True)
    lines = [
        "image_id,patient_id,image,mask,split,sha256_image,sha256_mask,device,pixel_spacing_mm"
    ]
    for k in range(rows):
        lines.append(f"i{k},,{image.format(k=k)},masks/{k}.png,train,{DIGEST},{DIGEST},,")
    (root / "images.csv").write_text("\n".join(lines) + "\n")
    if url:
        (root / "source.yml").write_text(f"url: '{url}'\nlicence: MIT\n")
    return SimpleNamespace(root=root, name="mine", run=tmp_path / "run", generator=None)


def test_a_whole_study(tmp_path, server, capsys):
    mine = manifest(tmp_path, server.url + "/well/{path}")
    fetch.everything(mine, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.*")) == [
        "0.jpg",
        "0.png",
        "1.jpg",
        "1.png",
        "2.jpg",
        "2.png",
    ]
    assert "6 files, licence MIT" in capsys.readouterr().out
    fetch.everything(mine, tmp_path / "out")
    assert len(server.log) == 6


def test_a_study_of_which_one_file_fails(tmp_path, server):
    mine = manifest(tmp_path, server.url + "/well/{path}")
    table = mine.root / "images.csv"
    table.write_text(table.read_text().replace(DIGEST, "0" * 64, 1))
    with pytest.raises(StudyError) as raised:
        fetch.everything(mine, tmp_path / "out")
    assert (
        str(raised.value)
        == f"mine: 5 of 6 files are complete: 1 problem\n  - {server.url}/well/images/0.jpg: what"
        " arrives has another sha256 than images.csv says, 4 times"
    )
    assert len(list((tmp_path / "out").rglob("*.*"))) == 5


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "no such file: the images of mine are not public; ask their owners for them"),
        ("http://example.org/{path}", "url: only https:// is fetched, found http://"),
        ("file:///etc/{path}", "url: only https:// is fetched, found file://"),
        ("https://example.org/", r"url: 'https://example.org/' does not match"),
    ],
)
def test_sources_that_are_refused(tmp_path, url, message):
    with pytest.raises(StudyError, match=message):
        fetch.source(manifest(tmp_path, url))


@pytest.mark.parametrize(
    "cell", ["masks/{{{k}.png}}+fill", "{{masks/{k}.png#1}}+fill", "{k}.png#1"]
)
def test_changed_masks_and_frames_are_fetched_as_their_file(tmp_path, cell):
    mine = manifest(tmp_path, URL, rows=2)
    table = mine.root / "images.csv"
    lines = table.read_text().splitlines()
    for k in range(2):
        lines[k + 1] = lines[k + 1].replace(f"masks/{k}.png", cell.format(k=k))
    table.write_text("\n".join(lines) + "\n")
    known = {name: digest for name, digest in fetch.files(mine)}
    assert {Path(name).name for name in known} == {"0.jpg", "1.jpg", "0.png", "1.png"}
    assert set(known.values()) == {DIGEST}


@pytest.mark.parametrize("image", ["{k}.mhd", "{{{k}.png|{k}_1.png}}"])
def test_several_files_of_one_digest_are_not_fetched(tmp_path, image):
    with pytest.raises(StudyError, match="are several files with one sha256, which cannot be fetc"):
        fetch.files(manifest(tmp_path, URL, rows=1, image=image))


def test_path_out_of_the_folder(tmp_path):
    with pytest.raises(StudyError, match=r"0\.jpg' fails a path inside DATA"):
        fetch.files(manifest(tmp_path, URL, rows=1, image="../{k}.jpg"))


def test_femoral_is_declared_completely():
    femoral = SimpleNamespace(
        root=studies.ROOT / "data_manifest" / "femoral", name="femoral", generator=None
    )
    assert fetch.source(femoral)["url"].startswith("https://raw.githubusercontent.com/")
    assert len(fetch.files(femoral)) == 1124

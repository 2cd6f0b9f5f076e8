"""Forks of the warm process: exit code and output of the real thing, and no life of their own."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY

from helpers.workflow import warm

pytestmark = pytest.mark.slow

ASK = "import sys; from helpers.workflow import warm; sys.exit(warm.ask(sys.argv[1], sys.argv[2:]))"


@pytest.fixture
def server(tmp_path):
    """The environment of clients of a server that has imported nothing."""
    path = tmp_path / "s" / "warm"
    path.parent.mkdir()
    code = (
        f"from pathlib import Path; from helpers.workflow import warm; warm.LIBRARIES = (); "
        f"warm.IDLE = 60; warm.serve(Path({str(path)!r}))"
    )
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not path.exists():
        assert process.poll() is None, "the server ended before it began"
        time.sleep(0.05)
    yield environment | {"STUDY_WARM": str(path)}
    process.kill()
    process.wait()


def gone(pid, seconds=120):
    """True when a process ends within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().split()[2] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_a_fork_gives_output_arguments_and_exit_code(server, tmp_path):
    (tmp_path / "mine.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    done = subprocess.run(
        [sys.executable, "-c", ASK, "mine", "a b", "$(x)"],
        env=server,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (7, "['a b', '$(x)']\n")
    (tmp_path / "mine.py").write_text("1 / 0")
    done = subprocess.run(
        [sys.executable, "-c", ASK, "mine"], env=server, capture_output=True, text=True
    )
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes in /proc")
@pytest.mark.parametrize("whom", ["client", "parent of the client"])
def test_a_fork_ends_with_who_asked_for_it(server, tmp_path, whom):
    note = tmp_path / "pid"
    (tmp_path / "mine.py").write_text(
        f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    )
    client = [sys.executable, "-c", ASK, "mine"]
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({client!r})"]
    asked = subprocess.Popen(client if whom == "client" else parent, env=server)
    while not (note.exists() and note.read_text()):
        assert asked.poll() is None, "the client ended before its fork began"
        time.sleep(0.05)
    asked.kill()
    asked.wait()
    assert gone(int(note.read_text()))


def test_who_starts_the_server_does_not_hold_its_reader_until_the_server_ends(tmp_path):
    (tmp_path / "mine.py").write_text("import os; print(os.getppid())")
    serve = (
        "import sys; from pathlib import Path; from helpers.workflow import warm; "
        "warm.LIBRARIES, warm.IDLE = (), 300; warm.serve(Path(sys.argv[1]))"
    )
    client = (
        "import sys; from helpers.workflow import warm; start = warm.subprocess.Popen; "
        f"warm.subprocess.Popen = lambda command, **o: start([*command[:1], '-c', {serve!r}, "
        "command[-1]], **o); sys.exit(warm.ask('mine', []))"
    )
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", client],
        env=environment | {"STUDY_WARM": str(tmp_path / "s" / "warm")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    os.kill(int(done.stdout), signal.SIGKILL)  # the server, which has 300 s left
    assert done.returncode == 0


def test_a_socket_that_another_user_could_have_put_there_is_not_asked(tmp_path):
    """The process would hand its environment and its streams to who answers."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "warm"))
        listener.listen()
        assert warm._connect(folder / "warm") is None
        folder.chmod(0o700)
        warm._connect(folder / "warm").close()


def test_no_server_is_started_whose_socket_no_system_could_name(tmp_path, monkeypatch):
    """It would import everything and end; every page would wait for that, and start cold."""
    monkeypatch.setattr(warm.subprocess, "Popen", lambda *a, **o: pytest.fail("started"))
    assert warm._connect(tmp_path / ("ä" * 60) / "warm") is None


def test_the_server_ends_with_the_process_for_which_it_was_started(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = tmp_path / f"study-{os.getuid()}-{owner.pid}" / "warm"
    path.parent.mkdir()
    code = (
        "import sys; from pathlib import Path; from helpers.workflow import warm;"
        "warm.LIBRARIES, warm.IDLE = (), 600; warm.serve(Path(sys.argv[1]))"
    )
    own = {"PYTHONPATH": str(REPOSITORY)}
    server = subprocess.Popen([sys.executable, "-c", code, path], env=os.environ | own)
    while not path.exists():
        assert server.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    assert server.poll() is None
    owner.communicate(b"\n")
    assert server.wait(60) == 0 and not path.parent.exists()


def test_what_is_started_shares_the_server_of_who_started_it(monkeypatch):
    monkeypatch.setenv("STUDY_WARM", "/tmp/s/warm")
    assert warm.place() == "/tmp/s/warm"
    monkeypatch.delenv("STUDY_WARM")
    assert warm.place().endswith(f"-{os.getuid()}-{os.getpid()}/warm") and not warm.wanted()

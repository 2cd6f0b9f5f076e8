"""Steps and notebooks in seconds: one process has imported the libraries, and forks for each.

Importing pandas, torch and matplotlib costs more than most pages compute. ``serve`` imports them,
and nothing of helpers, so that no code is ever older than its file; every command of the workflow
(``python -m helpers …``) and every kernel asks it for a fork. Where STUDY_WARM names no
socket, as on a cluster's nodes, the same command simply starts cold. The server ends by itself.

This module imports the standard library only: its start is what every notebook waits for.
"""

import contextlib
import fcntl
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

#: what pages and trainings import; a name that is not installed is left out
LIBRARIES = (
    *("numpy", "pandas", "pandera.pandas", "scipy.stats", "scipy.ndimage", "yaml", "jsonschema"),
    *("PIL.Image", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "seaborn", "imagehash"),
    *("statsmodels.api", "SimpleITK", "pydicom", "torch", "torchvision", "safetensors.torch"),
    *("IPython", "ipykernel.kernelapp", "papermill"),
)
IDLE = 60.0  # seconds without a fork after which the server ends; drawing a phantom takes half
LONGEST = 103  # bytes of a socket's name that every system allows
START = 120.0  # seconds that it may take to start on a busy machine


def place() -> str:
    """STUDY_WARM for what this process starts: its own where it has one, else a new one."""
    own = f"{tempfile.gettempdir()}/study-{os.getuid()}-{os.getpid()}/warm"
    return os.environ.get("STUDY_WARM") or own


def _owned(path: Path) -> bool:
    """False where the process that a socket's folder names (``place``) has ended."""
    name, _, pid = path.parent.name.rpartition("-")
    if not (pid.isdecimal() and name == f"study-{os.getuid()}"):
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def wanted() -> bool:
    """True in a process that STUDY_WARM sends to a server, and that is not a fork of it already."""
    path = os.environ.get("STUDY_WARM")
    return bool(path) and hasattr(os, "fork") and os.environ.get("STUDY_FORKED") != path


def ask(module: str, arguments: list[str]) -> int:
    """Run ``python -m module arguments`` in a fork, or here where there is no server; exit code."""
    if connection := _connect(Path(os.environ["STUDY_WARM"])):
        return _ask(connection, module, arguments)
    sys.argv = [module, *arguments]
    del os.environ["STUDY_WARM"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def kernel(arguments: list[str]) -> None:
    """A notebook's kernel: in a fork where there is a server, else as ipykernel starts it."""
    if os.environ.get("STUDY_WARM") and hasattr(os, "fork"):
        sys.exit(ask("ipykernel_launcher", arguments))
    sys.argv = ["ipykernel_launcher", *arguments]
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


def _connect(path: Path) -> socket.socket | None:
    """A connection to the server, which is started where it does not run; None if it cannot."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = path.parent.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:  # another could answer
        return None
    if len(os.fsencode(path)) > LONGEST:
        return None
    until = time.monotonic() + START
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several that ask at once, one starts it
        started = None
        while time.monotonic() < until:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
                return connection
            except OSError:
                connection.close()
            if started is None:
                command = [sys.executable, "-m", "helpers.workflow.warm", "serve", str(path)]
                own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
                # with our pipe in its hands, whoever reads what we say would wait for its end too
                started = subprocess.Popen(
                    command,
                    env=os.environ | own,
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            elif started.poll() is not None:
                return None
            time.sleep(0.05)
    return None


def _ask(connection: socket.socket, module: str, arguments: list[str]) -> int:
    """The exit code of a fork that runs the module with our streams, folder and environment."""
    request = {
        "module": module,
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "path": sys.path,
    }
    socket.send_fds(connection, [b"."], [0, 1, 2])
    connection.sendall(json.dumps(request).encode() + b"\n")
    parent, answers = os.getppid(), connection.makefile()
    pid = int(answers.readline() or -1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as if it were our own process
        signal.signal(number, lambda got, _: _send(pid, got))
    while os.getppid() == parent:
        if select.select([connection], [], [], 1.0)[0]:
            return int(answers.readline() or 1)
    return 1  # who asked was killed: with this process gone, the server ends the fork


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def serve(path: Path) -> None:
    """Fork for every request on the socket; end when nothing was asked for ``IDLE`` seconds, or
    with the process for which it was started.

    A client that is gone takes its fork, and all that the fork has started, with it.
    """
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in LIBRARIES:
        try:
            __import__(name)
        except ImportError:
            continue
    gc.freeze()  # what is imported stays: no fork looks through it, and so copies it
    listener = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)
    listener.bind(str(path))
    listener.listen(64)
    children, last = {}, time.monotonic()  # pid → the connection of who asked for it
    while children or (time.monotonic() - last < IDLE and _owned(path)):
        ready, _, _ = select.select([listener, *children.values()], [], [], 0.05)
        if listener in ready:
            pid, connection = _fork(listener)
            children[pid] = connection
        for pid, connection in list(children.items()):
            if connection in ready and not connection.recv(1):  # the client is gone
                _kill(pid)
        for pid in list(children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                _tell(children.pop(pid), os.waitstatus_to_exitcode(status))
                last = time.monotonic()
    for left in (path, path.with_suffix(".lock")):
        left.unlink(missing_ok=True)
    path.parent.rmdir()


def _fork(listener: socket.socket) -> tuple[int, socket.socket]:
    """(pid, connection) of a new fork for the next client."""
    connection, _ = listener.accept()
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().readline())
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        _tell(connection, pid)
        return pid, connection
    code = 1
    try:
        listener.close()
        connection.close()
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        code = _run(request)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:  # shown like an error of any process, which ends with 1
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: dict) -> int:
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ["STUDY_FORKED"] = os.environ["STUDY_WARM"]
    sys.path[:] = request["path"]
    sys.argv = [request["module"], *request["arguments"]]
    if (threads := os.environ.get("OMP_NUM_THREADS")) and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))  # read once, when torch was imported
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    return 0


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(f"{number}\n".encode())


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        kernel(sys.argv[1:])

"""Run a small study on a cluster of two nodes that this machine plays, end one in the middle, and
see that its tables are those of a run without a cluster: python tests/cluster.py.

Needs Debian's slurmctld, slurmd, slurm-client and munge; where they are not, it says so and ends.
The cluster has a folder, keys and ports of its own, and touches no other.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import shrink
from kill import alive, compare, end, finished, start, wait

PROGRAMS = (
    "munged",
    "slurmctld",
    "slurmd",
    "sinfo",
    "scontrol",
    "srun",
    "sbatch",
    "squeue",
    "scancel",
)
NODES = ("one", "two")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=15
KillWait=2
MessageTimeout=60
MinJobAge=86400
MpiDefault=none
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=16000
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=16000
PartitionName=all Nodes=one,two Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Two Slurm nodes, their controller and their key service, all below ``place``."""

    def __init__(self, place):
        self.place, self.running = place, {}
        key = place / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        about = {"host": socket.gethostname(), "user": getpass.getuser(), "ports": _ports(3)}
        (place / "slurm.conf").write_text(CONFIGURATION.format(place=place, **about))
        for name in ("state", "bin", *(f"spool-{node}" for node in NODES)):
            (place / name).mkdir()
        for name in PROGRAMS[3:]:  # jobs hand on PATH, and not where the configuration is
            program = place / "bin" / name
            program.write_text(
                f'#!/bin/sh\nSLURM_CONF={place}/slurm.conf exec {shutil.which(name)} "$@"\n'
            )
            program.chmod(0o755)
        self.environment = {"PATH": f"{place}/bin{os.pathsep}{os.environ['PATH']}"}
        names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        files = {name: place / f"munge.{name.removesuffix('-file')}" for name in names}
        own = [f"--{name}={path}" for name, path in files.items()]
        self._begin("munged", "--foreground", "--force", *own)
        if not wait(files["socket"].exists, 30):
            raise SystemExit(f"error: munged did not start: {self._said('munged')}")
        self._begin("slurmctld", "-D", "-f", place / "slurm.conf")
        for node in NODES:
            self._begin("slurmd", "-D", "-N", node, "-f", place / "slurm.conf")
        if not wait(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2", 60):
            raise SystemExit(f"error: the nodes did not come up: {self._said('slurmctld')}")

    def _begin(self, program, *arguments):
        name = arguments[2] if program == "slurmd" else program
        with open(self.place / f"{name}.out", "wb") as log:
            self.running[name] = subprocess.Popen(
                [program, *map(str, arguments)], stdout=log, stderr=log, start_new_session=True
            )

    def _said(self, name):
        return (self.place / f"{name}.out").read_text("utf-8", "replace")[-1000:]

    def ask(self, program, *arguments):
        """What one of Slurm's programs says (str)."""
        environment = os.environ | {"SLURM_CONF": str(self.place / "slurm.conf")}
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def busy(self, node):
        """How many jobs run on a node."""
        return len(self.ask("squeue", "-h", "-t", "R", "-w", node).splitlines())

    def lose(self, node):
        """End a node and everything on it at once, as a power cut does."""
        mark, found = f"SLURMD_NODENAME={node}\0".encode(), [self.running[node].pid]
        found += [int(pid) for pid in self._steps(node)]  # before they can tell of their job's end
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if mark in content and str(self.place).encode() in content:
                found.append(int(path.parent.name))
        end(found)

    def _steps(self, node):
        """Processes of Slurm that hold a job on a node; their titles name the job."""
        jobs = self.ask("squeue", "-h", "-w", node, "-o", "%i").split()
        titles = tuple(f"slurmstepd: [{number}.".encode() for number in jobs)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                about = (path.parent / "environ").read_bytes()
                if path.read_bytes().startswith(titles) and str(self.place).encode() in about:
                    yield path.parent.name
            except OSError:
                continue

    def close(self):
        """End the cluster."""
        self.ask("scancel", "--user", getpass.getuser())
        for node in NODES:
            self.lose(node)
        end(process.pid for process in self.running.values())


def _ports(count):
    """Free ports of this machine (list of int)."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def spoilt(root, cluster):
    """A study whose list of images is wrong ends with the cause and its log in the terminal."""
    path = root / "data_manifest/phantom/images.csv"
    text = path.read_text(encoding="utf-8")
    digest = text.splitlines()[1].split(",")[5]
    path.write_text(text.replace(digest, "0" * 64), encoding="utf-8")
    process = start(root, "slurm", **cluster.environment)
    code = process.wait(900)
    path.write_text(text, encoding="utf-8")
    said = (root / "log").read_text("utf-8", "replace")
    cause = [line for line in said.splitlines() if line.startswith("error: ")]
    if not code or not cause or "  log: " not in said:
        raise SystemExit(f"error: a failed job's cause is not in the terminal:\n{said[-3000:]}")
    print(f"a failed job says: {cause[0]}", flush=True)


def main():
    """One run without a cluster, one on a cluster that loses a node; compare."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        print(
            f"not run: {', '.join(missing)} not found here"
            " (Debian: apt-get install slurmctld slurmd slurm-client munge)"
        )
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended; the cluster with it"))
    with tempfile.TemporaryDirectory() as temporary:
        local, spread, place = (Path(temporary, name) for name in ("local", "spread", "slurm"))
        for folder in (local, spread, place):
            folder.mkdir()
        shrink(local)
        shrink(spread)
        cluster = Cluster(place)
        try:
            spoilt(spread, cluster)
            if start(local).wait(3600):
                raise SystemExit((local / "log").read_text(encoding="utf-8")[-3000:])
            steps, began = finished(local), time.monotonic()
            process = start(spread, "slurm", **cluster.environment)
            # both nodes at work: the trainings, which take longest to be ready side by side
            busy = lambda: process.poll() is not None or all(map(cluster.busy, NODES))  # noqa: E731
            wait(lambda: process.poll() is not None or finished(spread) > 2, 3600)
            if not wait(busy, 1800) or process.poll() is not None:
                raise SystemExit("error: the two nodes never worked at the same time")
            time.sleep(5)  # a job that is only just being launched fails, and is not queued again
            print(f"node one ends after {finished(spread)} of {steps} steps", flush=True)
            cluster.lose("one")
            if process.wait(3600):
                print("the job that was on it failed; the same command again goes on", flush=True)
                if start(spread, "slurm", **cluster.environment).wait(3600):
                    raise SystemExit((spread / "log").read_text(encoding="utf-8")[-3000:])
            jobs = cluster.ask("scontrol", "show", "jobs", "-o").splitlines()
            print(
                f"{steps} steps in {len(jobs)} jobs, {time.monotonic() - began:.0f} s", flush=True
            )
        finally:
            cluster.close()
            end(alive(spread))
        compare(local, spread)


if __name__ == "__main__":
    main()

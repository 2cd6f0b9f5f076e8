"""A failed step's cause and log stand in the terminal, wherever the step ran."""

import pytest

from helpers.workflow import settings

HERE = """RuleException:
Command 'python -m helpers check 2>&1 | tee {log}' returned non-zero exit status 1.
"""
QUOTED = """Command 'x 2>&1 | tee '"'"'{log}'"'"'' returned non-zero exit status 1.
"""
#: what the workflow says of a job that it submits; the job's own log tells what became of it
SLURM = "Job 6 has been submitted with SLURM jobid 3 (log: {job}).\n"
JOB = """Select jobs to execute...
Error in rule check:
    jobid: 0
    log: {log} (check log file(s) for error details)
    shell:
        python -m helpers check 2>&1 | tee {log}
        (command exited with non-zero exit code)
"""


@pytest.fixture(params=["here", "slurm"])
def failed(request, tmp_path):
    """A step's log, and a function of its text that gives what the terminal shows."""
    step, own, job = (tmp_path / name for name in ("a check.log", "snakemake.log", "3.log"))
    if request.param == "here":
        own.write_text((HERE + QUOTED).format(log=step))
    else:
        own.write_text(SLURM.format(job=job) * 2)
        job.write_text(JOB.format(log=step))

    def shown(text):
        step.write_text(text)
        return list(settings.errors([own]))

    return step, shown


def test_the_error_of_a_step_is_shown_with_its_log(failed):
    step, shown = failed
    said = "error: image_id i3: has changed\n  - more"
    assert shown(f"checked 200\n{said}\n") == [f"\n{said}\n  log: {step}"]


def test_a_step_without_an_error_line_shows_how_it_ended(failed):
    step, shown = failed
    (said,) = shown("".join(f"line {k}\n" for k in range(9)))
    assert "line 8" in said and "line 3" not in said and str(step) in said
    (said,) = shown("line 1\nslurmstepd: error: Detected 1 oom-kill event\n")
    assert said.splitlines()[1:2] == ["slurmstepd: error: Detected 1 oom-kill event"]


def test_a_job_in_which_no_step_began_says_why(tmp_path):
    own, job, other = (tmp_path / name for name in ("snakemake.log", "3.log", "4.log"))
    own.write_text(SLURM.format(job=job) + SLURM.format(job=other))
    job.write_text("Provided cores: 2\nslurmstepd: error: *** JOB 3 CANCELLED DUE TO TIME LIMIT\n")
    other.write_text("1 of 1 steps (100%) done\n")  # went well; its log was not removed yet
    (said,) = settings.errors([own])
    assert said == f"\nslurmstepd: error: *** JOB 3 CANCELLED DUE TO TIME LIMIT\n  log: {job}"
    job.write_text(JOB.format(log="/no/check.log"))
    assert [str(job) in line for line in settings.errors([own])] == [True]


def test_a_job_whose_log_is_gone_is_named(tmp_path):
    own = tmp_path / "snakemake.log"
    own.write_text(SLURM.format(job="/no/3.log"))
    assert list(settings.errors([own])) == []  # removed, because it went well
    own.write_text(HERE.format(log="/no/check.log"))
    assert list(settings.errors([own])) == ["\nerror: a step left no log\n  log: /no/check.log"]

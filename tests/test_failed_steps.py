"""A failed step's cause and log stand in the terminal, wherever the step ran."""

import pytest

from helpers.workflow import settings

HERE = """RuleException:
Command 'python -m helpers check 2>&1 | tee {log}' returned non-zero exit status 1.
"""
QUOTED = """Command 'x 2>&1 | tee '"'"'{log}'"'"'' returned non-zero exit status 1.
"""
SLURM = """Error in rule check:
    jobid: 1
    message: SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'.
    log: {log} (check log file(s) for error details)
    external_jobid: 12
"""


@pytest.mark.parametrize("said", [HERE, SLURM], ids=["here", "slurm"])
def test_the_error_of_a_step_is_shown_with_its_log(tmp_path, said):
    step, own = tmp_path / "check.log", tmp_path / "snakemake.log"
    step.write_text("checked 200\nerror: image_id i3: has changed\n  - more\n")
    own.write_text(said.format(log=step) * 2)
    assert list(settings.errors([own])) == [
        f"\nerror: image_id i3: has changed\n  - more\n  log: {step}"
    ]


@pytest.mark.parametrize("said", [HERE, SLURM], ids=["here", "slurm"])
def test_a_step_without_an_error_line_shows_how_it_ended(tmp_path, said):
    step, own = tmp_path / "check.log", tmp_path / "snakemake.log"
    step.write_text("".join(f"line {k}\n" for k in range(9)) + "slurmstepd: out of memory\n")
    own.write_text(said.format(log=step))
    (shown,) = settings.errors([own])
    assert "slurmstepd: out of memory" in shown and "line 4" not in shown and str(step) in shown


def test_a_step_that_never_began_is_named(tmp_path):
    own = tmp_path / "snakemake.log"
    own.write_text(SLURM.format(log="/no/check.log"))
    assert "ended before it wrote its log, /no/check.log" in next(settings.errors([own]))


def test_a_log_with_a_blank_in_its_path_is_found(tmp_path):
    step, own = tmp_path / "a study.log", tmp_path / "snakemake.log"
    step.write_text("error: no\n")
    own.write_text(SLURM.format(log=step))
    assert "error: no" in next(settings.errors([own]))
    own.write_text(QUOTED.format(log=step))
    assert any("error: no" in line for line in settings.errors([own]))

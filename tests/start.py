"""The workflow as a fork of the warm process runs it: its own jobs may ask for forks again."""

import os
import runpy

del os.environ["STUDY_FORKED"]
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)

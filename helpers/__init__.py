"""The study's package, in rooms; imports point one way, from the top of this list to its end.

errors       the one error a reader meets               training/   the loop, its losses, its state
files        written whole or not at all                stats/      tests as printed, and valid ones
studies      study.yml and the manifest's tables        figures/    style, tables, pictures, plots
provenance   where a number came from                   analyses/   raters, speed, ablation …
readers/     images and masks of every format           papers/     printed numbers beside ours
metrics      four counts, and everything from them      pages/      one module a notebook
leakage      gates between splits                       workflow/   what the Snakefile asks
alike        which images are nearly the same
datasets     files to arrays and an index
models/      a file a network                           plan        what was declared, sealed

Who has an hour reads errors, studies, metrics, datasets, leakage, models/ (qvum, unet, blocks),
training/ (fold, loop, losses) and stats/ (counts, values, intervals, bootstrap, paired,
multiplicity, comparison).
"""

__version__ = "0.1.0"

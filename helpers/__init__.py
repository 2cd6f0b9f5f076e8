"""The study's package, in rooms; imports point one way, from the top of this list to its end.

errors       the one error a reader meets               datasets    files to arrays and an index
files        written whole or not at all                plan        what was declared, sealed
schemas      what the files of a manifest may hold      models/     a file a network
provenance   where a number came from                   training/   a fold, its loop, its losses
alike        which images are nearly the same           stats/      tests as printed, and valid ones
studies      one study under one protocol               figures/    style, tables, pictures, plots
runs         what a run leaves where                    analyses/   raters, speed, ablation …
readers/     images and masks of every format           papers/     printed numbers beside ours
metrics      four counts, and everything from them      pages/      one module a notebook
leakage      gates between splits                       workflow/   what the Snakefile asks

Who has an hour reads errors, studies, metrics, datasets, leakage, models/ (qvum, unet, blocks),
training/ (fold, loop, losses) and stats/ (counts, values, intervals, bootstrap, paired,
multiplicity, comparison).
"""

__version__ = "0.1.0"

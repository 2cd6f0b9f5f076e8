"""The study's package, in rooms; imports point one way, from the top of this list to its end.

errors       the one error a reader meets               datasets    arrays, their index and folds
files        written whole or not at all                cache       arrays made from checked files
schemas      what the files of a manifest may hold      plan        what was declared, sealed
provenance   where a number came from                   models/     a file a network
alike        which images are nearly the same           training/   a fold, its loop, its losses
studies      one study under one protocol               stats/      tests as printed, and valid ones
runs         what a run leaves where                    figures/    style, tables, pictures, plots
readers/     images and masks of every format           analyses/   raters, speed, ablation …
metrics      four counts, and everything from them      papers/     printed numbers beside ours
leakage      gates between splits                       pages/      one module a notebook
                                                        workflow/   what the Snakefile asks

Who has an hour reads errors, studies, metrics, datasets, leakage, models/ (qvum, unet, blocks),
training/ (fold, loop, losses) and stats/ (counts, values, intervals, bootstrap, paired,
multiplicity, comparison).
"""

import sys

# with it jsonschema, also papermill's, builds a grammar of web addresses; nothing here checks one,
# and it takes a second of every start
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

__version__ = "0.1.0"

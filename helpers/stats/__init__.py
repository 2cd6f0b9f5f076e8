"""Statistics of a segmentation study: the papers' tests exactly, and beside them the ones that hold.

Every function takes rows of per_image.csv (or a tidy frame made from them) and returns a tidy DataFrame whose columns
its docstring lists. Nothing here imports torch.
"""

from helpers.stats.bootstrap import Ratios, draw_counts, evaluate, limits, resample
from helpers.stats.cohort import P_VALUES, by_split, flow, printed_table1, summarise, table1, table1_tests
from helpers.stats.comparison import claims, compare, declared
from helpers.stats.intervals import ESTIMANDS, METRICS, Cube, intervals
from helpers.stats.mixed import mixed_differences, mixed_models, reml
from helpers.stats.multiplicity import adjust, fdr, holm
from helpers.stats.paired import cluster_robust, differences, normality, paired_t, sign_flip, wilcoxon
from helpers.stats.printed import (
    LABEL,
    anova_classes,
    anova_models,
    bonaldi,
    huang,
    quartiles,
    table3,
    tukey_classes,
    tukey_models,
)
from helpers.stats.repeated import by_class, by_model, friedman, pairs, rm_anova, rm_table
from helpers.stats.results import MIN_UNITS, check, folds, has_patients, read, select
from helpers.stats.values import ALL, FOREGROUND, OVERALL, RATIOS, caveat, default_unit, ratio, values, wide

__all__ = [
    "ALL",
    "ESTIMANDS",
    "FOREGROUND",
    "LABEL",
    "METRICS",
    "MIN_UNITS",
    "OVERALL",
    "P_VALUES",
    "RATIOS",
    "Cube",
    "Ratios",
    "adjust",
    "anova_classes",
    "anova_models",
    "bonaldi",
    "by_class",
    "by_model",
    "by_split",
    "caveat",
    "check",
    "claims",
    "cluster_robust",
    "compare",
    "declared",
    "default_unit",
    "differences",
    "draw_counts",
    "evaluate",
    "fdr",
    "flow",
    "folds",
    "friedman",
    "has_patients",
    "holm",
    "huang",
    "intervals",
    "limits",
    "mixed_differences",
    "mixed_models",
    "normality",
    "paired_t",
    "pairs",
    "printed_table1",
    "quartiles",
    "ratio",
    "read",
    "reml",
    "resample",
    "rm_anova",
    "rm_table",
    "select",
    "sign_flip",
    "summarise",
    "table1",
    "table1_tests",
    "table3",
    "tukey_classes",
    "tukey_models",
    "values",
    "wide",
    "wilcoxon",
]

"""Statistics of a segmentation study: the papers' tests exactly, and beside them the ones that
hold.

Every function takes rows of per_image.csv (or a tidy frame made from them) and returns a tidy
DataFrame whose columns its docstring lists. Nothing here imports torch.
"""

# ruff: noqa: F401, the imports are what this package offers

from helpers.stats.agreement import areas, bland_altman, empty_policies, failures
from helpers.stats.as_claimed import claims
from helpers.stats.as_printed import (
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
from helpers.stats.bootstrap import Ratios, draw_counts, evaluate, limits, resample
from helpers.stats.cluster import anova_icc, icc
from helpers.stats.cohort import (
    P_VALUES,
    by_split,
    flow,
    printed_table1,
    summarise,
    table1,
    table1_tests,
)
from helpers.stats.comparison import (
    ALPHA,
    UNSETTLED,
    common,
    compare,
    declared,
    verdict,
)
from helpers.stats.counts import (
    MIN_UNITS,
    folds,
    has_patients,
    select,
    with_unit,
)
from helpers.stats.design.coverage import BESIDE, ENOUGH, coverage, rule, shares
from helpers.stats.design.false_alarms import ANALYSES, UNEQUAL, Design, curve, false_positives
from helpers.stats.design.power import (
    for_never,
    for_precision,
    for_share,
    patients_needed,
    power_table,
    simulate_power,
    variation,
)
from helpers.stats.design.winners import winners
from helpers.stats.effects import effect_sizes, equivalence
from helpers.stats.intervals import ESTIMANDS, METRICS, Cube, covered, intervals
from helpers.stats.mixed import mixed_differences, mixed_models, reml
from helpers.stats.multiplicity import adjust, adjusted
from helpers.stats.paired import (
    cluster_robust,
    differences,
    normality,
    paired_t,
    sign_flip,
    wilcoxon,
)
from helpers.stats.per_image import check, read
from helpers.stats.ranks import ORDERS, ranking
from helpers.stats.repeated import by_class, by_model, friedman, pairs, rm_anova, rm_table
from helpers.stats.seeds import training_luck
from helpers.stats.subgroups import SUBGROUPS, memberships, subgroups
from helpers.stats.telling import HELPS, KEEP, LITTLE, case_values, doubt, telling
from helpers.stats.values import (
    ALL,
    FOREGROUND,
    OVERALL,
    RATIOS,
    caveat,
    default_unit,
    ratio,
    unscored,
    values,
    wide,
)

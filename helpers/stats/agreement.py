"""Agreement of predicted and reference areas, and what the rule for empty masks does to the
result.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.stats.counts import MIN_UNITS, canonical, with_unit
from helpers.stats.design.coverage import BESIDE, shares
from helpers.stats.mixed import group_sums, reml, told_apart
from helpers.stats.values import EMPTY, has_patients, values


def areas(per_image: pd.DataFrame, class_: str, pixel_mm: pd.Series | None = None) -> pd.DataFrame:
    """Area of one structure in each image: model, patient_id, image_id, reference, predicted,
    difference, mean, unit.

    In mm² where `pixel_mm` (by image_id, mm a pixel at evaluation size) is known for every
    image, else in % of the image. Images where the structure is in neither are left out.
    """
    rows = canonical(per_image[per_image["class"] == class_])
    rows = rows[rows[["tp", "fp", "fn"]].sum(axis=1) > 0]
    known = pixel_mm is not None and pixel_mm.notna().all()
    scale = (
        rows["image_id"].map(pixel_mm).astype(float) ** 2  # of no image: no objects
        if known
        else 100 / rows[["tp", "fp", "fn", "tn"]].sum(axis=1)
    )
    reference, predicted = (rows["tp"] + rows["fn"]) * scale, (rows["tp"] + rows["fp"]) * scale
    return (
        rows[["model", "patient_id", "image_id"]]
        .assign(
            reference=reference,
            predicted=predicted,
            difference=predicted - reference,
            mean=(predicted + reference) / 2,
            unit="mm²" if known else "% of the image",
        )
        .reset_index(drop=True)
    )


def bland_altman(areas: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Bias and 95 % limits of agreement of predicted − reference, one row a model.

    Several images a patient: the limits use the total of between- and within-patient variance
    (Bland & Altman 1999, section 5), and the bias's interval treats patients as units. Where
    patients are unknown, images are units. Columns: model, bias, low, high (of the bias),
    sd_between, sd_within, limit_low, limit_high, slope (of difference on mean: not 0 if large
    structures are missed more), n_images, n_units, unit.
    """
    patients = len(areas) > 0 and has_patients(areas)
    rows = []
    for model, part in areas.groupby("model", sort=True):
        d = part["difference"].to_numpy()
        who = part["patient_id" if patients else "image_id"].to_numpy(str)
        g = len(np.unique(who))
        row = {
            "model": model,
            "bias": d.mean(),
            "low": np.nan,
            "high": np.nan,
            "sd_between": np.nan,
            "sd_within": np.nan,
            "limit_low": np.nan,
            "limit_high": np.nan,
            "slope": np.nan,
            "n_images": len(d),
            "n_units": g,
            "unit": part["unit"].iloc[0],
        }
        if g >= MIN_UNITS and np.ptp(d) > 0:
            sizes, means, ss = group_sums(d[:, None], who)
            fit = reml(sizes, means[..., None], np.array([ss]))
            bias, se = fit["mean"][0, 0], fit["se"][0]
            between, within = fit["between"][0], fit["residual"][0]
            half = stats.t.ppf((1 + level) / 2, g - 1) * se
            spread = stats.norm.ppf((1 + level) / 2) * np.sqrt(between + within)
            apart = told_apart(sizes)
            slope = np.polyfit(part["mean"], d, 1)[0] if np.ptp(part["mean"]) > 0 else np.nan
            row |= {
                "bias": bias,
                "low": bias - half,
                "high": bias + half,
                "sd_between": np.sqrt(between) if apart else np.nan,
                "sd_within": np.sqrt(within) if apart else np.nan,
                "limit_low": bias - spread,
                "limit_high": bias + spread,
                "slope": slope,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def empty_policies(per_image: pd.DataFrame, metric: str, class_: str) -> pd.DataFrame:
    """The mean over images under each rule for a structure absent from reference and
    prediction, per model.

    Columns: model, class, metric, policy, mean, n (images counted), absent_both, absent_one. If
    the rows of a model agree, the rule does not matter.
    """
    rows = per_image[per_image["class"] == class_]
    reference, predicted = rows["tp"] + rows["fn"] > 0, rows["tp"] + rows["fp"] > 0
    absent = pd.DataFrame(
        {"model": rows["model"], "both": ~reference & ~predicted, "one": reference ^ predicted}
    )
    absent = absent.groupby("model").sum()
    out = []
    for policy in EMPTY:
        each = (
            values(per_image, metric, class_, empty=policy)
            .groupby("model")["value"]
            .agg(["mean", "count"])
        )
        out += [
            {
                "model": m,
                "class": class_,
                "metric": metric,
                "policy": policy,
                "mean": r["mean"],
                "n": int(r["count"]),
                "absent_both": int(absent.loc[m, "both"]),
                "absent_one": int(absent.loc[m, "one"]),
            }
            for m, r in each.iterrows()
        ]
    return pd.DataFrame(out).sort_values(["model", "policy"], kind="stable", ignore_index=True)


def failures(
    per_image: pd.DataFrame, metric: str, class_: str, threshold: float = 0.5, seed: int = 1
) -> pd.DataFrame:
    """What a mean hides: share of images below `threshold`, 5th percentile, worst.

    low, high: Wilson's 95 % interval, images as units; coverage and what stands instead where it
    covers too seldom for patients as units: ``design.coverage.shares``. Columns: model, class,
    metric, threshold, n, undefined, below, share, low, high, p5, worst and BESIDE.
    """
    scores = with_unit(values(per_image, metric, class_))
    scores = scores.assign(hit=(scores["value"] < threshold).where(scores["value"].notna()))
    by_model = scores.groupby("model", sort=True)
    table = pd.DataFrame({"n": by_model["value"].count(), "undefined": by_model.size()})
    table["undefined"] -= table["n"]
    table[["p5", "worst"]] = by_model["value"].agg([lambda x: x.quantile(0.05), "min"])
    found = shares(scores.dropna(subset="value"), ["model"], seed).set_index("model")
    table["below"] = found["hits"].reindex(table.index).fillna(0).astype(int)
    table[["share", "low", "high", *BESIDE]] = found[["estimate", "low", "high", *BESIDE]]
    table = table.assign(**{"class": class_, "metric": metric, "threshold": threshold})
    columns = ["model", "class", "metric", "threshold", "n", "undefined", "below", "share"]
    return table.reset_index()[[*columns, "low", "high", "p5", "worst", *BESIDE]]

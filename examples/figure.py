"""A figure to start from: a tidy frame in, a matplotlib figure out. Change what it shows."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from helpers import figures


def images_by_patient(rows: pd.DataFrame) -> Figure:
    """How many images of the page's split (on page 4 the test images) each patient gave.

    rows: of per_image.csv, a row a network, image and structure with its counts tp, fp, fn, tn;
    ``helpers.metrics.scores(rows)`` adds Dice, IoU and the other ratios.
    """
    counts = rows.groupby("patient_id")["image_id"].nunique()
    fig, axes = plt.subplots(figsize=(figures.PAGE, 2))
    sns.histplot(x=counts, discrete=True, ax=axes)
    axes.set(xlabel="images of a patient", ylabel="patients")
    return fig

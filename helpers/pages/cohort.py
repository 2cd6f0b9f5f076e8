"""Page 1, who was studied: sentences and tables as functions of the manifest's tables."""

import pandas as pd

from helpers import stats, studies
from helpers.errors import NotComputable
from helpers.figures.tables import counted

GROUPS = {"train": "training", "val": "validation", "external": "other data"}
TRAITS = {
    "age_years": "age, years",
    "height_cm": "height, cm",
    "weight_kg": "weight, kg",
    "bmi_kg_m2": "BMI, kg/m²",
}
#: columns of the recomputed Table 1 that are shown
PRINTED = ["variable", "group", "p", "printed_p", "difference", "smd", "test"]
RECOMPUTED = (
    "Recomputed from the printed means, standard deviations and counts; training against the group"
    " named."
)
WITHOUT_PATIENTS = (
    "This data set came without any information on patients, so there is no Table 1 and nobody can"
    " say whether the groups are alike. A clinical reader should ask for age, sex, body size and"
    " who was excluded before trusting the results"
)


def in_words(flow: pd.DataFrame, images: pd.DataFrame, note: str = "") -> str:
    """Who was studied, Markdown. flow: of ``stats.flow``; note: of study.yml."""
    counts = flow[flow["stage"] != "excluded"].set_index("stage")
    counts = counts[["patients", "images"]].astype("Int64")
    people, total = counts["patients"], counts.loc["included", "images"]
    if people["included"] is pd.NA:
        tested = counts["images"].get("test", 0)
        text = (
            f"**{total} images** were studied, {tested} of them to test. Which images belong to the"
            " same person was not published: nobody can say how many patients these are, whether"
            " one person is in both training and test, or who they were."
        )
    else:
        text = (
            f"**{counted(people['included'], 'patient')}** with {counted(total, 'image')} were"
            " studied:"
            f" {people.get('train', 0)} to learn from, {people.get('val', 0)} to tune and"
            f" **{people.get('test', 0)} to test**."
        )
        if "external" in people:
            more = people["external"]
            text += f" {more} more {'comes' if more == 1 else 'come'} from elsewhere."
        if out := int(flow.loc[flow["stage"] == "excluded", "patients"].sum()):
            who = "1 person was" if out == 1 else f"{out} people were"
            text += f" {who} assessed but left out."
        text += _shared_in_words(shared(images))
    return text + (f"\n\n*{note.strip()}*" if note else "")


def shared(images: pd.DataFrame) -> int:
    """How many patients have images in more than one split."""
    pairs = images.dropna(subset="patient_id")[["patient_id", "split"]].drop_duplicates()
    return len(set(pairs.loc[pairs["patient_id"].duplicated(), "patient_id"]))


def _shared_in_words(count: int) -> str:
    if not count:
        return " No patient is in two of these groups."
    return (
        f" **{count} of them are in more than one group**, because this study is divided by image:"
        " the test shows how well the network does on other images of people it has learned from,"
        " not on new people."
    )


def groups(patients: pd.DataFrame | None, images: pd.DataFrame) -> pd.DataFrame:
    """A row a patient and split (``stats.by_split``), under Table 1's names, or NotComputable."""
    if patients is None:
        raise NotComputable(WITHOUT_PATIENTS)
    people = stats.by_split(patients, images)
    if people.empty:
        raise NotComputable(
            "patients.csv describes none of the patients whose images these are, so there is no"
            " Table 1"
        )
    return people.rename(columns=TRAITS).replace({"split": GROUPS})


def summary(people: pd.DataFrame) -> pd.DataFrame:
    """What Table 1 is made of, from :func:`groups`; NotComputable where nothing is compared."""
    table = stats.summarise(people, "split", TRAITS.values(), ["sex"])
    if table.empty:
        raise NotComputable(
            "patients.csv has none of age, height, weight, BMI and sex, so there is no Table 1. A"
            " clinical reader should ask for them before trusting the results"
        )
    if "training" not in set(table["group"]):
        raise NotComputable(
            "patients.csv describes nobody of the training group, so the groups cannot be compared"
        )
    return table


def table1(described: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Table 1, without P values where groups share patients, without an empty column of missing
    ones.
    """
    table = stats.table1(described, "training")
    if shared(images):
        table = table.filter(regex="^(?!P,)")
    return table if missing_values(described) else table.drop(columns="missing")


def missing_values(described: pd.DataFrame) -> int:
    """How many values of Table 1 are missing, in all groups together."""
    rows = described.drop_duplicates(["variable", "group"])
    return int(rows["missing"].sum())


def missing(described: pd.DataFrame) -> pd.DataFrame:
    """Table of missing values by group; NotComputable (the good news) where there are none."""
    if not missing_values(described):
        raise NotComputable("No value of Table 1 is missing")
    rows = described.drop_duplicates(["variable", "group"])
    return rows[["variable", "group", "n", "missing"]]


def table1_note(described: pd.DataFrame, images: pd.DataFrame, split: dict) -> str:
    """What stands under Table 1. split: of study.yml; its policy says whether groups were drawn."""
    lost = "Missing values are left out of their row only." if missing_values(described) else ""
    if shared(images):
        said = "No P values: groups that share patients cannot be tested."
    elif split["policy"].endswith("k-fold"):
        said = stats.P_VALUES
    else:
        said = (
            "The groups were given, not drawn here. If they were drawn at random, these P values"
            " test the random numbers; the standardised mean difference says how far apart the"
            " groups are."
        )
    return f"{lost} {said}".strip()


def largest(balance: pd.DataFrame) -> str:
    """The largest standardised difference as a sentence. balance: of ``stats.table1_tests``."""
    known = balance.dropna(subset="smd")
    if known.empty:
        raise NotComputable(
            "No difference between the groups can be measured: too few patients, or no variation"
        )
    worst = known.loc[known["smd"].idxmax()]
    size = f"{worst['smd']:.2f} standard deviations"
    if worst["smd"] == float("inf"):
        size = "they differ in what does not vary within them, so it has no measure"
    return (
        f"The largest difference is in **{worst['variable'].split(',')[0]}**, between"
        f" {worst['reference']} and {worst['group']}: {size}."
    )


def devices(images: pd.DataFrame) -> pd.DataFrame:
    """Images by ultrasound device: columns device, images."""
    named = images["device"] if "device" in images else pd.Series(None, images.index, object)
    counts = named.fillna("not recorded").value_counts()
    return counts.rename_axis("device").reset_index(name="images")


def devices_in_words(table: pd.DataFrame) -> str:
    """Which machines the images come from, Markdown. table: of :func:`devices`."""
    named = [f"{row.device} ({row.images} images)" for row in table.itertuples()]
    if list(table["device"]) == ["not recorded"]:
        return "The ultrasound device is not recorded for any image."
    one = " **One device: nothing here says how the network does on another.**"
    return f"Ultrasound device: {'; '.join(named)}.{one if len(table) == 1 else ''}"


def printed(study: studies.Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The Table 1 that the paper prints (``stats.printed_table1``); NotComputable for none."""
    path = study.root / "published.yml"
    entries = studies.read_yaml(path)["entries"] if path.is_file() else []
    table, p_values = stats.printed_table1(entries)
    if table.empty:
        raise NotComputable(
            "The paper of this study prints no table of patients, so there is nothing to recompute"
        )
    return table, p_values


def recomputed(paper: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """The paper's tests from its own means and counts, beside the P values it prints."""
    table, p_values = paper
    again = stats.table1_tests(table).merge(p_values, on=["variable", "group"])
    again["difference"] = again["p"] - again["printed_p"]
    return again.replace({"group": GROUPS})

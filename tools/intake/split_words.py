"""What pictures are for by the name of their folder, their list or their row: training,
validation, test, external.
"""

import functools
import re
import unicodedata

from helpers.schemas import EXTERNAL

SET = r"([ _-]?(set|data(set)?|images?|imgs?|pictures?|frames?|\d+|[a-d]))?"
#: folders by which authors say which pictures are for what
FOLDERS = {
    EXTERNAL: rf"(.*[ _-])?external([ _-]?(test(ing)?|val(id(ation)?)?|cohort|site))*{SET}",
    "train": rf"(.*[ _-])?train(ing)?([ _+-]?val)?{SET}|imagesTr|tr",
    "val": rf"(.*[ _-])?val(id(ation)?)?{SET}|dev|imagesVa|va",
    "test": rf"(.*[ _-])?test(ing)?{SET}|imagesTs|te|ts|holdout",
}
OF_DATA = "(s?(daten|menge|satz|set))?"
#: … and among other words, where they are of one split: 'Training_Input', 'test_internal', '训练集'
WORDS = {
    "train": re.compile(
        rf"train(ing)?{OF_DATA}|lern(en|daten|menge|satz|set)|entrenamiento|entra[iî]nement"
        r"|apprentissage|addestramento|treino|treinamento|.*(训练|訓練|학습|훈련).*"
    ),
    "val": re.compile(
        rf"val(id)?|validation{OF_DATA}|validierung{OF_DATA}|validaci[oó]n|validazione|valida[cç][aã]o"
        r"|.*(验证|驗證|検証|검증).*"
    ),
    "test": re.compile(
        rf"test(ing)?{OF_DATA}|(prüf|pruef)(daten|menge|satz|set)|pruebas?|teste|.*(测试|測試|테스트).*"
    ),
}
#: words beside them that say no more than that pictures are divided
PLAIN = re.compile(
    r"(?i)(tr|va|te|ts|dev|holdout|val|external|sets?|data|dataset|images?|imgs?|pictures?|frames?|site"
    r"|cohort|imagestr|imagests|imagesva|trainval|[a-d]|input|output|internal|masks?|labels?)"
)
#: folders that are called after what all of them hold
COMMON = re.compile(
    r"(?i)(raw|all|my|the|us|ultrasound|sets?|data|dataset|images?|imgs?|pictures?|frames?)"
)
#: that are a split of folders, and in a table as often something else: TR may be a diagnosis
ABBREVIATIONS = ("tr", "te", "ts", "va", "dev")
BY_HAND = "write split: in a form"


def is_split(folder: str) -> bool:
    """Whether a folder's name says what its pictures are for."""
    return split_of(folder) is not None


@functools.cache
def split_of(name: str) -> str | None:
    """What pictures are for by the name of their folder or list: a key of FOLDERS, or None."""
    told = [s for s, pattern in WORDS.items() if any(map(pattern.fullmatch, words(name)))]
    if {"train", "test"} <= {*told}:  # 'train_test.csv'
        return None
    for split, pattern in FOLDERS.items():
        if re.fullmatch(pattern, name, re.IGNORECASE):
            return split
    return told[0] if len(told) == 1 else None


def of_cell(text: str) -> str | None:
    """What a cell of a table says that a picture is for, or None: in whole words, 'TR' and 'test
    strip' are something else.
    """
    short = text.casefold() in ABBREVIATIONS
    return None if short or other_words(text) else split_of(text)


def words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", name).casefold())


def other_words(folder: str) -> bool:
    """Whether a folder's name has words that say nothing of a split."""
    return not all(
        PLAIN.fullmatch(w) or any(own.fullmatch(w) for own in WORDS.values()) for w in words(folder)
    )

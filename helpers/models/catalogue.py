"""What is known of every network, readable without torch: label, source, what is a reconstruction
and why.

The table is ``catalogue.yml``; no training depends on it, so that a new network or a better note
retrains nothing.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from helpers import provenance
from helpers.errors import StudyError


@dataclass(frozen=True)
class Entry:
    """One network. module: file in helpers/models; pretrained: has an encoder that can start from
    ImageNet; note: what is known and what is ours; channels: the
    paper's input; parameters: tuple of (input channels, classes, options, count), the counts that
    ``build`` meets exactly.
    """

    name: str
    label: str
    module: str
    source: str
    note: str
    pretrained: bool = False
    channels: int = 3
    parameters: tuple = ()

    @property
    def is_reconstruction(self) -> bool:
        """True when no layer table or code of the authors exists: the number is ours."""
        return self.name.endswith("_r")


_TABLE = yaml.safe_load((Path(__file__).parent / "catalogue.yml").read_text(encoding="utf-8"))
ENTRIES = {name: Entry(name=name, module=name, **fields) for name, fields in _TABLE.items()}
NAMES = tuple(ENTRIES)


def entry(name: str) -> Entry:
    """The Entry of a network; ``smp:<architecture>/<encoder>`` names any of that library.

    StudyError for an unknown name. Torch is not imported.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    if name.startswith("smp:"):
        architecture, slash, encoder = name[4:].partition("/")
        if slash and architecture and encoder:
            note = "From the segmentation-models-pytorch library, unchanged."
            source = "segmentation-models-pytorch"
            return Entry(name, f"{architecture} ({encoder})", "zoo", source, note, True)
    raise StudyError(
        f"no network {name!r}; there are {', '.join(NAMES)} and smp:<architecture>/<encoder>, e.g."
        " smp:Unet/resnet34"
    )


@cache
def code(name: str) -> str:
    """Digest of every module that the training of a network runs."""
    starts = ("helpers/training/fold.py", f"helpers/models/{entry(name).module}.py")
    return provenance.code_digest(*(provenance.REPOSITORY / start for start in starts))


def label(name: str) -> str:
    """The name to print; reconstructions end in '-R'."""
    return entry(name).label

"""What is known of every network, readable without torch: label, source, what is a reconstruction and why.

``parameters`` holds (in_channels, classes, options, count): the count that ``build`` must meet exactly.
"""

from dataclasses import dataclass

from helpers.errors import StudyError

BINARY = "One foreground class: a single sigmoid output, given as the logits (0, z); their softmax is that sigmoid."


@dataclass(frozen=True)
class Entry:
    """One network. module: file in helpers/models; pretrained: has an encoder that can start from ImageNet;
    note: footnote for tables and figures, what is known and what is ours; default_channels: the paper's input."""

    name: str
    label: str
    module: str
    source: str
    note: str
    pretrained: bool = False
    default_channels: int = 3
    parameters: tuple = ()

    @property
    def is_reconstruction(self):
        """True when no layer table or code of the authors exists: the number is ours, not the paper's."""
        return self.name.endswith("_r")


_ENTRIES = (
    Entry(
        "qvum", "Q-VUM", "qvum", "Q-VUM paper 2024, Network architecture and Fig. 2",
        "VGG16 encoder without its last pooling, U-Net decoder; layer widths after the public VGG16 U-Net that the "
        "paper's description matches. The paper's own training supplement is not public.",
        pretrained=True, parameters=((3, 4, {}, 24_891_332),),
    ),
    Entry(
        "unet", "U-Net", "unet", "Ronneberger 2015",
        "Same-padded convolutions with batch normalisation and transposed up-sampling, the layout in common use. "
        "How the Q-VUM paper built or trained its comparator is not stated.",
        parameters=((3, 4, {}, 31_037_828), (1, 4, {}, 31_036_676)),
    ),
    Entry(
        "unet_bilinear", "U-Net (bilinear)", "unet_bilinear", "Ronneberger 2015, common variant",
        "As U-Net, bilinear up-sampling and a halved bottleneck.",
        parameters=((3, 4, {}, 17_263_172), (1, 4, {}, 17_262_020)),
    ),
    Entry(
        "unet_valid", "U-Net (valid)", "unet_valid", "Ronneberger 2015, Fig. 1",
        "The original: unpadded convolutions without normalisation, cropped skips; the image is mirrored outwards "
        "so that the output has its size.",
        parameters=((3, 4, {}, 31_031_940), (1, 2, {}, 31_030_658)),
    ),
    Entry(
        "unetpp", "U-Net++", "unetpp", "Zhou 2018, Fig. 1",
        "Nested decoder with deep supervision, 32 channels wide as in the public PyTorch version; can be pruned at "
        "inference. Width and supervision of the Q-VUM paper's comparator are not stated.",
        parameters=((3, 4, {}, 9_163_824), (3, 4, {"deep_supervision": False}, 9_163_428),
                    (3, 4, {"width": 64}, 36_630_608), (3, 4, {"width": 64, "deep_supervision": False}, 36_629_828),
                    (1, 2, {"layout": "keras", "deep_supervision": False}, 9_041_601)),
    ),
    Entry(
        "bpsegsys_r", "BPSegSys-R", "bpsegsys_r", "Wang 2024, abstract",
        "Stand-in. Only the abstract of BPSegSys is public (no layer, loss or schedule): this is a U-Net on ResNet-34; "
        "its number is not a reproduction of the published one.",
        pretrained=True, parameters=((3, 4, {}, 24_436_804),),
    ),
    Entry(
        "vistr", "VisTR", "vistr", "Wang 2021; Gujarati 2024 (median nerve)",
        "Clip transformer, one query per foreground class and frame, no matching. The Q-VUM paper does not say how it "
        "fed still images; T = 1 here. Starts without the COCO weights of the authors.",
        pretrained=True,
        parameters=((3, 2, {"clip_length": 36, "outputs": 42, "detection": True}, 75_931_617),
                    (3, 2, {"clip_length": 36, "outputs": 2, "detection": True}, 75_916_217),
                    (3, 4, {"clip_length": 1, "outputs": 42, "detection": True}, 75_918_945),
                    (3, 4, {"clip_length": 1, "outputs": 42, "detection": True, "backbone": "resnet50"}, 56_979_041)),
    ),
    Entry(
        "femoral_unet", "Femoral U-Net", "femoral_unet", "Huang 2019, Fig. 1",
        "Keras-equivalent: 8 to 128 channels, ReLU, no normalisation, no dropout. " + BINARY,
        default_channels=1, parameters=((1, 2, {}, 485_673),),
    ),
    Entry(
        "keras_starter", "Keras starter U-Net", "keras_starter", "public Keras starter, later version",
        "16 to 256 channels, ELU, dropout between the convolutions; often quoted for Huang 2019, not what it used. "
        + BINARY,
        parameters=((3, 2, {}, 1_941_105),),
    ),
    Entry(
        "tlf_unet", "TLF U-Net", "tlf_unet", "Bonaldi 2025, Methods",
        "Widths are not stated in the paper; 16 to 256 after the tutorial whose tools, loss and batch size it shares "
        "(width 64 gives the wide variant).",
        default_channels=1, parameters=((1, 3, {}, 1_940_851), (1, 3, {"width": 64}, 31_030_723)),
    ),
    Entry(
        "dilated_unet_r", "DilatedUNet-R", "dilated_unet_r", "Miyatake 2022, abstract",
        "Reconstruction. The abstract says a U-Net with skip connections, with and without dilated convolutions; the "
        "cascade of six dilated convolutions is a widely used public design. " + BINARY,
        default_channels=1, parameters=((1, 2, {}, 8_507_005), (1, 2, {"dilated": False}, 8_507_005),
                    (1, 2, {"width": 32}, 4_500_385), (1, 2, {"width": 64}, 17_995_585)),
    ),
    Entry(
        "dmrnet_r", "DMRNet-R", "dmrnet_r", "DMRNet 2026, abstract",
        "Reconstruction. The abstract names the modules (AMD, DAR, AEH, with BASA and ER-MHA attention) and what each "
        "is for; every layer inside them is ours.",
        default_channels=1, parameters=((1, 5, {}, 20_950_501),),
    ),
)  # fmt: skip
ENTRIES = {entry.name: entry for entry in _ENTRIES}
NAMES = tuple(ENTRIES)


def entry(name):
    """The Entry of a network; ``smp:<architecture>/<encoder>`` names any of segmentation-models-pytorch.

    StudyError for an unknown name. Torch is not imported.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    if name.startswith("smp:"):
        architecture, slash, encoder = name[4:].partition("/")
        if slash and architecture and encoder:
            note = "From the segmentation-models-pytorch library, unchanged."
            return Entry(name, f"{architecture} ({encoder})", "zoo", "segmentation-models-pytorch", note, True)
    raise StudyError(
        f"no network {name!r}; there are {', '.join(NAMES)} and smp:<architecture>/<encoder>, e.g. smp:Unet/resnet34"
    )


def label(name):
    """The name to print; reconstructions end in '-R'."""
    return entry(name).label


def footnote(name):
    """One line for under a table or figure: label, source, what is known of it."""
    found = entry(name)
    return f"{found.label} ({found.source}): {found.note}"

"""From a folder of pictures to a study: find, check, split, write the manifest and a page about
it.

``make`` goes the whole way: ``find`` (which files are pictures) and ``pairing`` (which are their
masks), ``discover`` (the classes), ``check`` (every pair opened; ``agreement``, ``burnt``,
``geometry``: does the outline fit), ``patients`` and ``by_picture`` (whose), ``split_authors`` (the
authors' split; ``split_lists``, ``split_words``) and ``splits`` (drawn), ``doubtful`` and
``sentences`` (what stands first), ``ledger`` (every file counted), ``page``. ``first`` is `make
mine`; ``anonymous`` and ``deidentify`` come before all this.

What the readers tell beside the pixels, for the page that a person looks at:

- ``readers.doubts(pixels) -> list[str]``: what makes a picture implausible (flat, few values,
  squeezed); such a picture stands first.
- ``readers.open_mask(path, classes, ignored=…, shape=…) -> Mask(pixels, notes)``: as ``read_mask``,
  with what was left out (specks) or is unclear (rows and columns may be exchanged).
- ``readers.spacing_at(path, mask) -> ((row, column) in mm or None, notes)``: the spacing of the
  region in which the outline lies; ``read_image`` alone answers None where regions differ.
- ``readers.kind``: also "NRRD" (``.nrrd``, ``.seg.nrrd``), "MetaImage" (``.mha``, ``.mhd``) and
  "video" (``.mp4``, ``.avi``, …) as pictures; masks may be "DICOM" (segmentation objects), "NRRD",
  "MetaImage" or "CSV" (outlines of VIA).
"""

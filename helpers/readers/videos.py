"""Cines as video (MP4, AVI, MOV, MKV, WMV), and the video streams that DICOM wraps, to grey
uint8.
"""

import functools
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from helpers.errors import StudyError
from helpers.readers.plausible import check_size

#: frames a second where a video does not say
FRAME_RATE = 25.0


def read_video(path: Path, named: Path | None = None) -> tuple[np.ndarray, float]:
    """(uint8 grey (frames, rows, columns), frames a second) of a video file.

    named: what to call the file in an error, where it is a copy of a stream. The last one stays in
    memory, because the frames of a cine are read one after the other.
    """
    try:
        return _decoded(Path(path), Path(path).stat().st_mtime_ns, Path(named or path))
    except OSError:
        raise StudyError(f"{named or path}: no such file; check the path") from None


@functools.lru_cache(maxsize=1)
def _decoded(path: Path, _changed: int, named: Path) -> tuple[np.ndarray, float]:
    try:
        # '-fps_mode passthrough': each frame once, as recorded, none doubled to fill a clock
        reader = imageio_ffmpeg.read_frames(
            str(path),
            pix_fmt="gray",
            bits_per_pixel=8,
            output_params=["-fps_mode", "passthrough", "-vf", "scale=out_range=full"],
        )
        about = next(reader)
        columns, rows = about["size"]
        check_size(named, rows, columns)
        frames = []
        for frame in reader:
            frames.append(np.frombuffer(frame, np.uint8).reshape(rows, columns))
            check_size(named, rows, columns, len(frames))
    except StudyError:
        raise
    except (OSError, RuntimeError, ValueError, StopIteration, KeyError) as error:
        raise StudyError(
            f"{named}: the video cannot be read ({' '.join(str(error).split())[-120:]}); save it"
            " as MP4"
        ) from None
    if not frames:
        raise StudyError(f"{named}: the video holds no frame; save it again")
    return np.stack(frames), float(about["fps"] or FRAME_RATE)


def read_stream(path: Path, stream: bytes) -> np.ndarray:
    """Frames, uint8 (frames, rows, columns), of a video stream (bytes) taken out of the file
    path.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stream"
        copy.write_bytes(stream)
        return read_video(copy, path)[0]

"""Writing clips: pictures one by one, and an mp4 of several views side by side."""

import contextlib
import os
import uuid
from pathlib import Path

import numpy as np

from ..errors import OutputError
from .files import make_folder, output_error, to_integers, write_picture


class Frames:
    """A clip's pictures: FOLDER/NAME/00000000.png, ..., and FOLDER/NAME.mp4 with views of them.

        with Frames(folder, "35_125") as frames:
            frames.add(result, [before, result, target])

    The mp4 is H.264, 4:2:0, which every browser plays; its name holds the old file or the whole new
    one. OutputError where it cannot be written, or there is no ffmpeg.
    """

    def __init__(self, folder, name, *, fps=10, suffix=".png"):
        self.folder, self.movie = Path(folder, name), Path(folder, f"{name}.mp4")
        self.fps, self.suffix, self.count = fps, suffix, 0
        self._part = self.movie.with_name(f".{name}.{uuid.uuid4().hex[:8]}.part.mp4")

    def __enter__(self):
        import imageio.v2 as iio

        need_ffmpeg()
        make_folder(self.movie.parent)
        self._writer = iio.get_writer(
            self._part, format="FFMPEG", mode="I", fps=self.fps, codec="libx264",
            pixelformat="yuv420p", macro_block_size=1, ffmpeg_log_level="error",
            output_params=["-movflags", "+faststart"],
        )  # fmt: skip
        return self

    def add(self, picture, views) -> None:
        """The next picture, and views of one height for the mp4; float (H, W, 3) in [0, 1]."""
        write_picture(self.folder / f"{self.count:08d}{self.suffix}", picture)
        frame = to_integers(np.concatenate(list(views), axis=1), 8)
        odd = [(0, side % 2) for side in frame.shape[:2]]  # 4:2:0 halves the colours' sides
        self._writer.append_data(np.pad(frame, [*odd, (0, 0)], mode="edge"))
        self.count += 1

    def __exit__(self, kind, error, trace):
        try:
            self._writer.close()
            if kind is None:
                if not self._part.stat().st_size:  # ffmpeg had its own reasons
                    raise OSError(0, "ffmpeg wrote nothing")
                os.replace(self._part, self.movie)
                for old in self.folder.glob(f"{'[0-9]' * 8}{self.suffix}"):
                    if int(old.stem) >= self.count:  # of a longer clip that was here before
                        old.unlink()
        except OSError as e:
            error = error or e
        finally:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(self.movie, error) from error


def need_ffmpeg() -> None:
    """OutputError where no ffmpeg can be found: at once, and not after the work."""
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as e:
        what = f"there is no ffmpeg to write videos with ({e})"
        raise OutputError(what, todo="pip install imageio-ffmpeg, or do without pictures") from e

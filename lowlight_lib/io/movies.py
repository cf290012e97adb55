"""Writing clips: pictures one by one, and an mp4 of several views side by side."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path

import numpy as np

from ..errors import OutputError, ShapeError
from .files import make_folder, output_error, to_integers, write_picture


class Movie:
    """An mp4 (H.264, 4:2:0, which every browser plays), written frame by frame.

        with Movie("before_after.mp4", fps=10) as movie:
            movie.add(picture)

    As with `files.atomic_write` the name holds the old file or the whole new one.

    Args:
        path: where it goes.
        fps: frames a second.
    Raises:
        OutputError: it cannot be written, or there is no ffmpeg (imageio-ffmpeg brings one).
    """

    def __init__(self, path, fps=10):
        self.path, self.fps, self.size, self._writer = Path(path), fps, None, None
        self._part = self.path.with_name(f".{self.path.stem}.{uuid.uuid4().hex[:8]}.part.mp4")

    def __enter__(self):
        need_ffmpeg()
        make_folder(self.path.parent)
        return self

    def add(self, picture) -> None:
        """The next frame, float (H, W, 3) in [0, 1]; odd sides are extended by their last line."""
        frame = to_integers(picture, 8)
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != (self.size or frame.shape):
            raise ShapeError(f"a frame {frame.shape} in a video of {self.size or '(H, W, 3)'}")
        self.size = frame.shape
        odd = [(0, side % 2) for side in frame.shape[:2]]  # 4:2:0 halves the colours' sides
        with self._errors():
            self._writer = self._writer or self._start()
            self._writer.append_data(np.pad(frame, [*odd, (0, 0)], mode="edge"))

    def __exit__(self, kind, error, trace):
        try:
            with contextlib.suppress(Exception) if kind else self._errors():
                if self._writer is not None:
                    self._writer.close()
                    if kind is None:
                        if not self._part.stat().st_size:  # ffmpeg had its own reasons
                            raise OSError(0, "ffmpeg wrote nothing")
                        os.replace(self._part, self.path)
        finally:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _start(self):
        import imageio.v2 as iio

        return iio.get_writer(
            self._part, format="FFMPEG", mode="I", fps=self.fps, codec="libx264",
            pixelformat="yuv420p", macro_block_size=1, ffmpeg_log_level="error",
            output_params=["-movflags", "+faststart"],
        )  # fmt: skip

    @contextlib.contextmanager
    def _errors(self):
        try:
            yield
        except OSError as e:
            raise output_error(self.path, e) from e


class Frames:
    """A clip's pictures: FOLDER/NAME/00000000.png, ..., and FOLDER/NAME.mp4 with views of them.

        with Frames(folder, "35_125") as frames:
            frames.add(result, [before, result, target])

    Args:
        suffix: of the pictures, as in `files.write_picture`.
    """

    def __init__(self, folder, name, *, fps=10, suffix=".png"):
        self.folder, self.suffix, self.count = Path(folder) / name, suffix, 0
        self.movie = Movie(Path(folder) / f"{name}.mp4", fps)

    def __enter__(self):
        self.movie.__enter__()
        return self

    def add(self, picture, views) -> None:
        """The next picture (H, W, 3), and the views of one height that stand side by side."""
        write_picture(self.folder / f"{self.count:08d}{self.suffix}", picture)
        self.movie.add(np.concatenate(list(views), axis=1))
        self.count += 1

    def __exit__(self, kind, *error):
        self.movie.__exit__(kind, *error)
        if kind is None:  # of a longer clip that was here before
            for old in self.folder.glob(f"*{self.suffix}"):
                if re.fullmatch(r"\d{8}", old.stem) and int(old.stem) >= self.count:
                    old.unlink(missing_ok=True)


def need_ffmpeg() -> None:
    """OutputError where no ffmpeg can be found: at once, and not after the work."""
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as e:
        what = f"there is no ffmpeg to write videos with ({e})"
        raise OutputError(what, todo="pip install imageio-ffmpeg, or do without pictures") from e

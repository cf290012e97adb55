"""Frames a second of video: every stage is timed, and all that it has."""

from lowlight_lib.deploy.bench_video import bench_video, video_line


def test_every_stage_of_the_video_has_its_share(lowlight):
    seconds = bench_video("brve", frames=2, side=32, channels=4)
    assert [*seconds] == ["pack", "normalise", "extract", "align", "reconstruct", "picture"]
    assert min(seconds.values()) > 0
    halves = video_line("brve", {"pack": 0.1, "picture": 0.3})
    assert halves.endswith("2.5 frames a second (pack 25%, picture 75%)")
    words = ("bench", "--model", "brve", "--size", "small", "--repeats", 1, "--no-memory")
    code, out, _ = lowlight(*words, "--backend", "bitpacked")
    assert code == 0 and "256x256 Bayer" in out

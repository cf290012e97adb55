"""Published numbers, where they are from, and scores of ours beside them."""

import html.parser

import pytest

from lowlight_lib import models
from lowlight_lib.data import DATASETS
from lowlight_lib.evaluation import published
from lowlight_lib.evaluation.metrics import PROTOCOLS

OURS = {
    "model": "redi", "dataset": "sid", "split": "test", "camera": "Sony ILCE-7SM2", "images": 50,
    "amplification": "ratio", "protocol": "redi_released", "profile": "paper", "psnr": 28.50,
    "ssim": 0.785,
}  # fmt: skip


def ours(rows, title="table 1, Bayer"):
    """{system: (ours, close)} of a table."""
    [table] = [t for t in published.beside(rows) if title in t["title"]]
    return {r["model"]: (r["ours"], r["close"]) for r in table["rows"]}


def test_every_table_says_its_source_and_means_something_here():
    tables = published.beside([])
    for table in tables:
        assert table["source"] and table["note"] and table["rows"], table["title"]
        assert {r["model"] for r in table["rows"]} & {*models.SYSTEMS}
        assert table.get("dataset", "sid") in DATASETS
        assert table.get("protocol", "default") in PROTOCOLS
        assert ("within" in table) <= ({"protocol", "dataset"} <= {*table})
        for row in table["rows"]:
            psnr, ssim = row.get("psnr", ""), row.get("ssim", "")
            assert (psnr, ssim) == ("", "") or (10 < psnr < 30 and 0.4 < ssim < 0.9)
    assert {r["model"] for t in tables for r in t["rows"]} > {*models.SYSTEMS}
    titles = [t["title"] for t in published.beside([], "brve")]
    assert len(titles) == 3 and all("BRVE" in t for t in titles) and len(tables) > 10


@pytest.mark.parametrize(
    "changes, close",
    [
        ({}, "yes"),
        ({"psnr": 28.2}, "-0.46 dB, -0.005"),
        ({"ssim": 0.77}, "-0.16 dB, -0.020"),
        ({"images": 12}, "other images"),
        ({"camera": "Nikon D850"}, ""),
        ({"protocol": "default", "images": 598}, "other images, other protocol"),
        ({"amplification": "auto"}, ""),
        ({"split": "val"}, ""),
        ({"psnr": None}, ""),
    ],
)
def test_ours_is_close_enough_only_on_the_same_data_by_the_same_protocol(changes, close):
    found = ours([OURS | changes])
    assert found["redi"][1] == close and found["sid"] == ("", "")
    if close:
        row = OURS | changes
        said = f"{row['psnr']:.2f} / {row['ssim']:.3f} (paper, {row['images']} images"
        assert found["redi"][0] == f"{said}, {row['protocol']})"


def test_of_several_tests_the_fitting_one_counts_and_else_the_last():
    rows = [OURS | {"images": n, "psnr": 20.0 + n} for n in (4, 12)]
    assert "12 images" in ours(rows)["redi"][0]
    assert ours([OURS, *rows])["redi"][1] == "yes"
    lol = {"model": "pairlie", "dataset": "lol", "images": 15, "amplification": None}
    row = OURS | lol | {"camera": None, "protocol": "pairlie_vendor", "psnr": 18.49, "ssim": 0.748}
    assert ours([row], "in a model zoo")["pairlie"][1] == "yes"
    video = {"model": "brve", "dataset": "llrvd", "protocol": "raw_video_released"}
    found = ours([OURS | video | {"images": 18}], "table 1, LLRVD")["brve"]
    assert found[0].startswith("28.50") and found[1] == ""  # nothing to compare with


def test_as_a_page_it_is_escaped_and_its_tags_close():
    class Tags(html.parser.HTMLParser):
        opened = 0

        def handle_starttag(self, tag, attrs):
            self.opened += tag not in ("br", "p")

        def handle_endtag(self, tag):
            self.opened -= tag != "p"

    parser = Tags()
    page = published.html([OURS | {"profile": "<i>"}], "redi", "pairlie")
    parser.feed(page)
    assert parser.opened == 0 and "<i>" not in page
    for words in ("28.50 / 0.785 (&lt;i&gt;", "562.06", "Source: ", "amplified by the true ratio"):
        assert words in page
    assert "get_flops_bnn" not in page

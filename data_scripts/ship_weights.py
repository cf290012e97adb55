"""Ship trained weights: python data_scripts/ship_weights.py KEY RUN_DIR RESULTS --limits "...".

RUN_DIR is of `lowlight train KEY --profile release`, RESULTS the results.json of `lowlight test` of
these weights on photographs that were never trained on. The weights go to lowlight_lib/weights in
16 bits (those of a binary network as bits), beside them their card.
"""

import argparse
import json
import subprocess
import tomllib
from pathlib import Path

from lowlight_lib import weights
from lowlight_lib.evaluation.results import read_rows
from lowlight_lib.io.files import atomic_write
from lowlight_lib.models import SYSTEMS, Task
from lowlight_lib.training import checkpoint

HERE = Path(__file__).parent
SCORES = ("dataset", "split", "scenes", "images", "psnr", "ssim", "rival", "rival_psnr",
          "rival_ssim", "baseline_psnr", "baseline_ssim", "gamma")  # fmt: skip


def photographs(split):
    """[{file, sha256, author, licence, package}] of data_scripts/photos.toml."""
    table = tomllib.loads((HERE / "photos.toml").read_text(encoding="utf-8"))
    return [
        {"file": name, "sha256": place[1], "author": one["name"], "licence": one["licence"],
         "package": one["package"]}
        for one in table["photographer"] if one["split"] == split
        for name, place in one["files"].items()
    ]  # fmt: skip


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("key", choices=list(SYSTEMS))
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--limits", required=True, help="where these weights fail, in a sentence")
    parser.add_argument("--note", default="", help="what else is to be known of the run")
    parser.add_argument("--commit", default="", help="that trained; by default the one here")
    parser.add_argument("-o", "--out", type=Path, default=Path(weights.__file__).parent)
    given = parser.parse_args(argv)
    files = [given.run_dir / n for n in ("weights_best.safetensors", "weights.safetensors")]
    source = next(f for f in files if f.exists())
    network = checkpoint.load(given.key, source)
    log = (given.run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last, recipe = json.loads(log[-1]), json.loads((given.run_dir / "config.json").read_text())
    [row] = [r for r in read_rows(given.results) if r["model"] == given.key]
    commit = given.commit or subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)
    card = {
        "key": given.key, "recipe": recipe, "steps": last["step"],
        "hours": round(last["seconds"] / 3600, 2), "commit": commit.strip(),
        "versions": json.loads((given.run_dir / "versions.json").read_text()),
        "photographs": photographs("train"), "scores": {k: row[k] for k in SCORES if k in row},
        "tested_on": photographs("test"), "limits": given.limits, "note": given.note,
    }  # fmt: skip
    target = given.out / f"{given.key}.safetensors"
    video = network.spec.task is Task.RAW_VIDEO
    checkpoint.save(network if video else network.half(), target, packed=video)
    with atomic_write(target.with_suffix(".json"), "w") as f:
        f.write(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    print(target, target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

"""How long a step of training takes, as `training.train` does it and in the plain way, in turns.

lowlight bench --train --model brve
"""

import copy
from functools import partial

import numpy as np
import torch

from .. import allocator, models, recipes
from ..models import Task
from ..training.losses import find_loss
from ..training.train import fast
from .cost import in_turns


def bench(keys=None, repeats=5) -> list[dict]:
    """Time steps of each system's course recipe on a random batch, on the CPU.

    "plain" is autograd through the network as its blocks say it, and Adam parameter by parameter;
    "today" what `fit` does. The loss is the same, and each has its own copy of the weights.

    Returns:
        Rows: "model", "step", "batch", "crop", "frames", "threads"; of a step "seconds" (the
        median), "p10", "p90"; "images_per_s" (for video frames); "ratio" (plain through it).
    """
    allocator.keep_pages()
    rows = []
    for key in keys or models.SYSTEMS:
        recipe = recipes.usual(key)
        torch.manual_seed(0)
        plain = models.build(key, **recipe.options).train()
        today, adam = copy.deepcopy(plain), partial(torch.optim.Adam, betas=recipe.betas)
        batch = _batch(plain.spec, recipe)
        calls = {
            "plain": partial(_step, plain, adam(plain.parameters(), recipe.lr), recipe, *batch),
            "today": partial(_step, today, fast(today, recipe), recipe, *batch),
        }
        in_turns(calls, 3)  # compiles, and fills the memory that is kept
        times = in_turns(calls, repeats)
        spread = {n: np.percentile(t, (50, 10, 90)).tolist() for n, t in times.items()}
        for name, (seconds, p10, p90) in spread.items():
            found = {"model": key, "step": name, "threads": torch.get_num_threads()}
            found |= {n: getattr(recipe, n) for n in ("batch", "crop", "frames")}
            rate, ratio = recipe.batch * recipe.frames / seconds, spread["plain"][0] / seconds
            found |= {"seconds": seconds, "p10": p10, "p90": p90, "images_per_s": rate}
            rows.append(found | {"ratio": ratio})
    return rows


def table(rows) -> str:
    """Rows of `bench` as text, a line each."""
    lines = [f"{'':18}  ratio      p50      p10      p90  images/s"]
    for r in rows:
        times = f"{r['seconds']:9.4f}{r['p10']:9.4f}{r['p90']:9.4f}"
        lines.append(
            f"{r['model']:11}{r['step']:7}{r['ratio']:7.2f}{times}{r['images_per_s']:10.1f}"
        )
    return "\n".join(lines)


def _batch(spec, recipe):
    """An input and a target as the recipe has them, or two pictures; random, since values that are
    not extreme change no time."""
    lead = (recipe.batch, *((recipe.frames,) if spec.task is Task.RAW_VIDEO else ()))
    g, side = torch.Generator().manual_seed(0), (recipe.crop, recipe.crop)
    return [
        torch.rand(*lead, c, *side, generator=g) for c in (spec.channels, max(spec.channels, 3))
    ]


def _step(model, optimizer, recipe, x, y):
    loss_of, prediction = find_loss(recipe.loss), model(x)
    if loss_of.pairs:
        prediction, y = (prediction, model(y)), (x, y)
    loss = loss_of(prediction, y, 0, model.parameters())  # type: ignore[arg-type]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

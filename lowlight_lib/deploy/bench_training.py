"""How long a step of training takes, as `training.train` does it and in the plain way, in turns."""

import copy
from functools import partial

import torch

from .. import allocator, models, recipes
from ..models import Task
from ..training.losses import find_loss
from ..training.train import fast
from .cost import in_turns, spread


def bench(keys=None, repeats=5) -> list[dict]:
    """Time steps of each system's course recipe on a random batch, on the CPU.

    "plain" is autograd through the network as its blocks say it, and Adam parameter by parameter;
    "today" what `fit` does, to a copy of the weights.

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
        found = {name: spread(times) for name, times in in_turns(calls, repeats).items()}
        for name, its in found.items():
            row = {"model": key, "step": name, "threads": torch.get_num_threads()} | its
            row |= {n: getattr(recipe, n) for n in ("batch", "crop", "frames")}
            row["images_per_s"] = recipe.batch * recipe.frames / its["seconds"]
            rows.append(row | {"ratio": found["plain"]["seconds"] / its["seconds"]})
    return rows


def table(rows) -> str:
    """Rows of `bench` as text, a line each."""
    lines = [f"{'':18}  ratio      p50      p10      p90  images/s"]
    for r in rows:
        times = f"{r['ratio']:7.2f}{r['seconds']:9.4f}{r['p10']:9.4f}{r['p90']:9.4f}"
        lines.append(f"{r['model']:11}{r['step']:7}{times}{r['images_per_s']:10.1f}")
    return "\n".join(lines)


def _batch(spec, recipe):
    """An input and a target as the recipe has them, or two pictures; random."""
    lead = (recipe.batch, *((recipe.frames,) if spec.task is Task.RAW_VIDEO else ()))
    g, side, c = torch.Generator().manual_seed(0), (recipe.crop, recipe.crop), spec.channels
    return [torch.rand(*lead, n, *side, generator=g) for n in (c, max(c, 3))]


def _step(model, optimizer, recipe, x, y):
    loss_of, prediction = find_loss(recipe.loss), model(x)
    if loss_of.pairs:
        prediction, y = (prediction, model(y)), (x, y)
    loss = loss_of(prediction, y, 0, model.parameters())  # type: ignore[arg-type]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

"""Sliders for the notebooks: one function, so that every slider of the course behaves the same."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display


def slider(function: Callable, **ranges) -> None:
    """Show one control for each argument of `function` and draw when one is let go.

    ipywidgets.interact with two differences. Nothing is drawn before the first move: a plain cell
    above shows the defaults, and papermill's client may wait for ever when a widget draws in a run
    without a screen (jupyter/nbclient#312). And it draws when the mouse is released, never while it
    moves: no queue of stale drawings on a slow machine. `ranges`, one for each argument, are as for
    interact: (low, high) or (low, high, step), or a list of choices; it starts at the default.
    """
    panel = ipywidgets.interactive(function, {"manual": True}, **ranges)  # manual: not at once
    panel.children = [c for c in panel.children if c is not panel.manual_button]
    for control in panel.kwargs_widgets:
        control.description = control.description.replace("_", " ")
        control.style.description_width = "initial"
        control.continuous_update = False
        control.observe(panel.update, "value")
    display(panel)

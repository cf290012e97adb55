"""Sliders for the notebooks: one function, so that every slider of the course behaves the same."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display


def slider(function: Callable, **ranges) -> None:
    """Show one control for each argument of `function` and draw when one is let go.

    As ipywidgets.interact, but nothing is drawn before the first move (papermill may wait for ever
    for a widget that draws without a screen, jupyter/nbclient#312), nor while the mouse moves.
    `ranges`: (low, high) or (low, high, step), or a list of choices; it starts at the default.
    """
    panel = ipywidgets.interactive(function, {"manual": True}, **ranges)  # manual: not at once
    panel.children = [c for c in panel.children if c is not panel.manual_button]
    for control in panel.kwargs_widgets:
        control.description = control.description.replace("_", " ")
        control.style.description_width = "initial"
        control.continuous_update = False
        control.observe(panel.update, "value")
    display(panel, exclude=["text/plain"])  # which would be all that GitHub shows

"""Sliders for the notebooks: one function, so that every slider of the course behaves the same."""

from __future__ import annotations

from collections.abc import Callable


def slider(function: Callable, **ranges) -> None:
    """Show one control for each argument of `function` and draw again when one is let go.

    What the function prints or draws lives in the widget, not in the cell's output, so a notebook
    shows the default in a plain cell first. The function runs when the mouse is released, never
    while it moves: that avoids the flicker, and a queue of stale drawings on a slow machine.

    Args:
        function: draws a figure or prints; what it returns is dropped.
        ranges: one for each argument: (low, high) or (low, high, step) of numbers, a list of
            choices, a bool, or a ready ipywidgets control. A slider starts at the default value
            that `function` gives the argument, where it gives one.

    >>> slider(lambda gain=1.0: None, gain=(0.5, 2.0, 0.1))  # doctest: +SKIP
    """
    import ipywidgets

    def draw(**values):
        function(**values)

    ipywidgets.interact(draw, **{name: _control(function, name, r) for name, r in ranges.items()})


def _control(function, name, given):
    """The ipywidgets control that `given` asks for, with its label and its start value."""
    import inspect

    import ipywidgets

    if isinstance(given, ipywidgets.ValueWidget):
        return given
    start = inspect.signature(function).parameters[name].default
    start = {} if start is inspect.Parameter.empty else {"value": start}
    common = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(given, tuple) and all(isinstance(v, (int, float)) for v in given):
        low, high, *step = given
        whole = all(isinstance(v, int) for v in (*given, *start.values()))
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        steps = {"step": step[0]} if step else {}
        return kind(min=low, max=high, continuous_update=False, **steps, **start, **common)
    if isinstance(given, bool):
        return ipywidgets.Checkbox(**{"value": given} | start, **common)
    return ipywidgets.Dropdown(options=list(given), **start, **common)

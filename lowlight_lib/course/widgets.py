"""Sliders for the notebooks: one function, so that every slider of the course behaves the same."""

from __future__ import annotations

from collections.abc import Callable


def slider(function: Callable, **ranges) -> None:
    """Show one control for each argument of `function` and draw when one is let go.

    ipywidgets.interact with two differences. Nothing is drawn before the first move: a plain cell
    above shows the defaults, and papermill's client may wait for ever when a widget draws in a run
    without a screen (jupyter/nbclient#312). And it draws when the mouse is released, never while it
    moves: no queue of stale drawings on a slow machine.

    Args:
        function: draws a figure or prints; what it returns is dropped.
        ranges: one for each argument: (low, high) or (low, high, step) of numbers, a list of
            choices, a bool, or a ready ipywidgets control. It starts at the argument's default.

    >>> slider(lambda gain=1.0: None, gain=(0.5, 2.0, 0.1))  # doctest: +SKIP
    """
    import ipywidgets
    from IPython.display import display
    from ipywidgets.widgets.interaction import show_inline_matplotlib_plots

    controls = {name: _control(function, name, given) for name, given in ranges.items()}
    output = ipywidgets.Output()

    def draw(_change):
        with output:
            output.clear_output(wait=True)
            function(**{name: control.value for name, control in controls.items()})
            show_inline_matplotlib_plots()

    for control in controls.values():
        control.observe(draw, "value")
    display(ipywidgets.VBox([*controls.values(), output]))


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

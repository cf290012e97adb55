"""The sliders of the notebooks: they start at the defaults and draw when they are moved."""

import ipywidgets

from lowlight_lib.course import widgets


def test_a_slider_draws_at_each_move_and_not_before(monkeypatch):
    shown, drawn = [], []
    monkeypatch.setattr(widgets, "display", lambda panel, exclude: shown.append(panel))

    def draw(ratio=100, lamp_percent=0.2, gamma=0.5):
        drawn.append((ratio, lamp_percent, gamma))

    widgets.slider(draw, ratio=(1, 300), lamp_percent=[0.0, 0.2, 1.0], gamma=(0.0, 1.0, 0.02))
    ratio, lamp, gamma, _ = shown[0].children
    assert drawn == [] and isinstance(ratio, ipywidgets.IntSlider)
    assert not ratio.continuous_update and lamp.description == "lamp percent"
    ratio.value, lamp.value, gamma.value = 30, 1.0, 0.1
    assert drawn == [(30, 0.2, 0.5), (30, 1.0, 0.5), (30, 1.0, 0.1)]

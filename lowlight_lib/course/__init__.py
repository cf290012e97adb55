"""What the notebooks need beside the science: the runner, checks, figures, widgets, Colab."""

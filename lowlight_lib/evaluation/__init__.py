"""Scores of a system, beside what a reader has without one."""

from .stills import test

__all__ = ["test"]

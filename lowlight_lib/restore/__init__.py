"""From a dark file to a picture: stills, clips and photographs."""

from .still import Restored, restore

__all__ = ["Restored", "restore"]

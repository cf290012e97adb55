"""From a dark file to a picture: `restore` for stills and photographs, `clip` for raw video."""

__all__ = ["Restored", "restore"]  # pyright: ignore[reportUnsupportedDunderAll]  (see __getattr__)


def __getattr__(name):
    # Not imported before it is asked for: whoever needs `window` alone does not wait for rawpy.
    if name in __all__:
        from . import still

        return getattr(still, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

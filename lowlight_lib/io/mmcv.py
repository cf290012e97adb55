"""Checkpoints of training frameworks: tensors beside objects whose classes are not here.

mmcv writes {"meta": ..., "state_dict": ..., "optimizer": ...} with whatever its run had in "meta",
so PyTorch's restricted loader refuses the file. Unpickling it would import and call what the file
names. Here every name but those of tensors and containers becomes an empty stand-in, which takes
what it is given and does nothing; then the tensors are taken out and the rest is dropped.
"""

from __future__ import annotations

import pickle
import types
import zipfile

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "Size"),
}


class StandIn:
    """An object of a class that was not loaded."""

    def __init__(self, *args, **kwargs):
        pass

    def _nothing(self, *args, **kwargs):
        pass

    __setstate__ = __setitem__ = append = extend = update = add = _nothing


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        return StandIn


def read_framework_file(path) -> dict | None:
    """The state dict of an mmcv-style file, {name: tensor}, without running anything of it.

    Returns:
        None where the file is something else: not a zip, no "meta" beside a "state_dict", or
        anything but tensors in that.
    """
    import torch

    if not zipfile.is_zipfile(path):
        return None
    reader = types.ModuleType("stand_ins")  # what torch.load takes for the module pickle
    reader.Unpickler = _Unpickler
    with open(path, "rb") as f:
        try:
            found = torch.load(f, map_location="cpu", pickle_module=reader, weights_only=False)
        except Exception:  # the caller has PyTorch's own complaint to report
            return None
    if not isinstance(found, dict) or not {"meta", "state_dict"} <= found.keys():
        return None
    state = found["state_dict"]
    good = isinstance(state, dict) and all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    )
    return dict(state) if good else None

"""One idea, one file. Blocks import torch, numpy and `lowlight_lib.sensor`, nothing else."""

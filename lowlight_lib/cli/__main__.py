"""`python -m lowlight_lib.cli`, which is also what torchrun starts."""

from .main import main

main()

"""lowlight_lib: the small library under the Low-Light Lab notebooks.

Nothing heavy is imported here. Import the module that you need, for example
`from lowlight_lib.sensor import raw` or `from lowlight_lib import models`.
"""

__version__ = "0.2.0"

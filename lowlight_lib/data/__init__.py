"""Published data layouts, one Dataset each; nothing here knows a network."""

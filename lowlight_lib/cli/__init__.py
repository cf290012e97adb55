"""The command line `lowlight`: one file a command, and the only place that knows typer."""

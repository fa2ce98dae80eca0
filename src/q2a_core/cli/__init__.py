"""The command line: thin commands over the rooms below; nothing heavy is imported before a command runs."""

from q2a_core.cli.main import app, main

__all__ = ["app", "main"]

"""The command line: what people and scripts type, and what they read back.

One module per command; `app.py` and `key_commands.py` name them and hold their help. May import everything, and
loads what is slow to import only in the command that needs it. Output goes to the standard output, errors and the
log to the standard error output. Exit codes: 0 done, 1 something outside is wrong, 2 the settings or the command are.
"""

from identity.cli.app import main

__all__ = ["main"]

"""``python -m dualsync.cli``: the command line without its script."""

from dualsync.cli import main

main()

"""`python -m tagmill`."""

from tagmill.cli import main

main()

"""`python -m orderctl`."""

from orderctl.cli import main

main()

"""`python -m bots` is the command `trialogue`."""

from bots.cli import main

main()

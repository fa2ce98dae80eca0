"""`python -m q2a_core.cli`: the command line where the `q2a` script is not on the path."""

from q2a_core.cli import main

main()

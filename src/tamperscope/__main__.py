"""`python -m tamperscope` is `tamperscope`."""

from tamperscope.cli import main

main(prog_name="tamperscope")

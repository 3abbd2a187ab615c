"""Run the command line as `python -m tamperscope`."""

from tamperscope.cli import main

main(prog_name="tamperscope")

"""Run as ``python -m handful``: the command line."""

from handful.cli import main

if __name__ == "__main__":
    main()

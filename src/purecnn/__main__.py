"""The command line as a module: ``python -m purecnn``.

What ``python -m purecnn`` runs: the command line.
"""

from purecnn.cli import main

if __name__ == "__main__":
    main()

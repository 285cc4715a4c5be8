"""What ``python -m purecnn`` runs: the command line."""

from purecnn.cli import main

if __name__ == "__main__":
    main()

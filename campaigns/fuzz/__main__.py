"""The fuzzing campaign as a module: ``python -m campaigns.fuzz``."""

from campaigns.fuzz.campaign import main

if __name__ == "__main__":
    main()

"""Fuzzing: hostile files for every reader of the package."""

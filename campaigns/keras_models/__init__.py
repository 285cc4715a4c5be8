"""Architectures that Keras writes, read here: how many open and answer as Keras does."""

"""Conformance suites of others."""

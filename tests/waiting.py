"""How long tests wait for what must come: a slow or busy machine is no failure."""

#: Seconds; fewer than a test may take in all, by pyproject.toml, so that it names what did not come.
PATIENCE = 300

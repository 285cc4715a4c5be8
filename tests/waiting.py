"""How long tests wait for what must come: a slow or busy machine is no failure."""

#: Seconds; fewer than a test may take in all (`timeout` in pyproject.toml), so that what did not come is named.
PATIENCE = 300

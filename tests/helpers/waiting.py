"""How long tests wait for what must come, and what may take: a slow or busy machine is no failure."""

import time

#: Seconds; fewer than a test may take in all, by pyproject.toml, so that it names what did not come.
PATIENCE = 300
#: Seconds of the processor that `work` takes on the machine on which limits to such seconds were set.
USUAL = 0.03


def work() -> float:
    """Return how many seconds of the processor some work takes."""
    begin = time.process_time()
    words = sorted(str(number) for number in range(60_000))
    assert len(dict.fromkeys(words)) == 60_000
    return time.process_time() - begin


def slowness() -> float:
    """Return how many times as many seconds of the processor work takes here, at least 1."""
    return max(1.0, min(work() for _ in range(3)) / USUAL)

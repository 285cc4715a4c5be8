"""How is measured: comparisons, rows, workers, the machine, and what disturbs it."""

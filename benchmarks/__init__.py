"""The benchmarks: purecnn measured beside its peers, in one run, on the same cores."""

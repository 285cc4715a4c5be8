"""The programs that are measured beside each other, one for each framework."""

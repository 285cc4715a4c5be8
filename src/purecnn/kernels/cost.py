"""Costs of arithmetic in memory and time, as budgets count them before anything runs."""

from __future__ import annotations

#: Bytes that all nodes of one run may go over, for each byte that they may take at a time.
MAX_TIMES = 1024
#: So many bytes may always be taken to be allowed, for the work alone: less is none to speak of.
FREE = 1 << 20
#: What costs as much as going over so many bytes: a node, each of its inputs and outputs, each step of a
#: window, and each product of a stack of them.
NODE, ENTRY, STEP, PRODUCT = 1 << 16, 1 << 12, 1 << 14, 1 << 8
#: Multiply-adds of a product by BLAS that take as long as going over one byte; and bytes for one without.
BLAS, PLAIN = 8, 16
#: NumPy computes half floats one by one: each takes as long as going over so many bytes.
HALF = 32
#: The same for a value of functions that take long: an exponential; a power or a place looked up.
EXPONENTIAL, POWER = 32, 128

"""Kills, full disks and interrupts: what a run, its ranks and its workers survive."""

"""What several tests use: plain loops, numbers of other programs, stand-ins, browsers."""

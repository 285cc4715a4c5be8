"""What takes too long for the tests: campaigns that try to break the package, and say what it survived."""

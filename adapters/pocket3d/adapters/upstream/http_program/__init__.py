"""Models that come as a program with an HTTP endpoint: the program is started, asked and ended."""

"""Who leads, and the protocol of one leadership with the streams, decided in pure code."""

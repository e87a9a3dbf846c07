"""The devices of a host: how they are named on the command line, and how they are measured."""

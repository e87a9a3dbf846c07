"""Running the system: the command line, settings, logging, the supervisor behind `pocket3d up`, and the demo."""

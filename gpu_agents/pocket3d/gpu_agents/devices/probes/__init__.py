"""What the devices' memory looks like now. The engine knows only what a probe answers."""

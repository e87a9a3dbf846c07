"""Memory of devices: who was promised what, what could be placed, what is bid."""

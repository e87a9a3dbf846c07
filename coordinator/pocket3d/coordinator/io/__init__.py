"""The coordinator's shell: one call on the bus for each effect, one event for each answer."""

"""What the adapters of foreign systems share: their configuration, turns in one model, weights from the hub."""

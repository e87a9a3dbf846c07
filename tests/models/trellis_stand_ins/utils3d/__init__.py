"""Stand-in: imported by TRELLIS, used by its renderers only."""

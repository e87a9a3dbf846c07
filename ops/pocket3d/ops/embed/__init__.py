"""What an embedded system needs: `pocket3d.ops.scheduler` is its face."""

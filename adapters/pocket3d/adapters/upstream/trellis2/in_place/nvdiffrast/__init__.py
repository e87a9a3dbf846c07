"""Found by TRELLIS.2 in the place of nvdiffrast; see `uv_raster`."""

"""One module per mesh format: what a stranger's file claims is judged here before anything is decoded."""

"""Clouds of 3D Gaussians ("splats"): their files, the checks of these, and a picture. Needs numpy and Pillow."""

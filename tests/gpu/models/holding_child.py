"""Holds MB for so many seconds, and says when it does."""

from __future__ import annotations

import sys
import time

import torch

device = "cuda" if torch.cuda.is_available() else "cpu"
kept = torch.ones(int(sys.argv[1]) * 2**20, dtype=torch.uint8, device=device)
if device == "cuda":
    torch.cuda.synchronize()
print("held", flush=True)
time.sleep(float(sys.argv[2]))

"""Compiles a kernel as packages do that compile at their first use (torch.utils.cpp_extension), and runs it."""

from __future__ import annotations

import json
import time

import torch
from torch.utils.cpp_extension import load_inline

CUDA = """
#include <torch/extension.h>
__global__ void add_one(float* values, int count) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < count) values[at] += 1.0f;
}
void run(torch::Tensor values) {
  int count = values.numel();
  add_one<<<(count + 255) / 256, 256>>>(values.data_ptr<float>(), count);
}
"""
started = time.monotonic()
module = load_inline(
    "pocket3d_add_one", "void run(torch::Tensor values);", cuda_sources=CUDA, functions=["run"], verbose=True
)
values = torch.zeros(1000, device="cuda")
module.run(values)
torch.cuda.synchronize()
print(json.dumps({"seconds": round(time.monotonic() - started, 1), "sum": float(values.sum())}))

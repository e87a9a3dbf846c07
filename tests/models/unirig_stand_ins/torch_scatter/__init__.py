import torch

_NAMES = {"mean": "mean", "min": "amin", "max": "amax", "sum": "sum"}


def segment_csr(src, indptr, out=None, reduce="sum"):
    count = len(indptr) - 1
    index = torch.repeat_interleave(torch.arange(count, device=src.device), indptr[1:] - indptr[:-1])
    index = index.view(-1, *([1] * (src.dim() - 1))).expand_as(src)
    empty = torch.zeros(count, *src.shape[1:], dtype=src.dtype, device=src.device)
    return empty.scatter_reduce(0, index, src, _NAMES[reduce], include_self=False)

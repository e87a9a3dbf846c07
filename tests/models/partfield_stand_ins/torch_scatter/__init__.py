import torch


def scatter_mean(src, index, dim=-1, out=None, dim_size=None):
    if out is None:
        shape = list(src.shape)
        shape[dim] = int(index.max()) + 1 if dim_size is None else dim_size
        out = src.new_zeros(shape)
    index = index.expand_as(src)
    total = out.scatter_add(dim, index, src)
    count = torch.zeros_like(out).scatter_add(dim, index, torch.ones_like(src)).clamp_(min=1)
    return total / count

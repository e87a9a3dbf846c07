import torch


def fps(x, batch=None, ratio=0.5, random_start=True):
    batch = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch is None else batch
    taken = []
    for each in batch.unique():
        members = (batch == each).nonzero().ravel()
        count = max(int(-(-len(members) * ratio // 1)), 1)
        taken.append(members[torch.linspace(0, len(members) - 1, count, device=x.device).long()])
    return torch.cat(taken)

import torch
from torch import nn


class MHA(nn.Module):
    def __init__(self, embed_dim, num_heads, cross_attn=False):
        super().__init__()
        self.heads = num_heads
        self.Wq = nn.Linear(embed_dim, embed_dim)
        self.Wkv = nn.Linear(embed_dim, 2 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x, x_kv=None):
        batch, count, width = x.shape
        query = self.Wq(x).view(batch, count, self.heads, -1).transpose(1, 2)
        both = self.Wkv(x_kv).view(batch, x_kv.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = torch.nn.functional.scaled_dot_product_attention(query, both[0], both[1])
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, count, width))

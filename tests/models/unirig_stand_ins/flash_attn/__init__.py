from itertools import pairwise

import spconv.pytorch.conv as _conv
import torch

_forward = _conv.SparseConvolution._conv_forward


def _as_in_training(self, training, *arguments, **options):
    # In evaluation spconv fuses the bias into a kernel that its CPU build lacks.
    return _forward(self, True, *arguments, **options)


_conv.SparseConvolution._conv_forward = _as_in_training


def flash_attn_varlen_qkvpacked_func(qkv, cu_seqlens, max_seqlen, dropout_p=0.0, softmax_scale=None):
    out = torch.empty_like(qkv[:, 0])
    ends = cu_seqlens.tolist()
    for start, end in pairwise(ends):
        query, key, value = (qkv[start:end, index].float().transpose(0, 1) for index in range(3))
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=softmax_scale)
        out[start:end] = mixed.transpose(0, 1).to(out.dtype)
    return out

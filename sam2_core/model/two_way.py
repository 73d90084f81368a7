"""The decoder's two-way transformer: prompt tokens read the image, then the image reads the tokens (SAM, section A)."""

from __future__ import annotations

from torch import Tensor, nn

from sam2_core.model.layers import MLP, attend

HEADS = 8


class Attention(nn.Module):
    """Multi-head attention with its own projections; cross attention works at half the width."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dim, width)
        self.k_proj = nn.Linear(dim, width)
        self.v_proj = nn.Linear(dim, width)
        self.out_proj = nn.Linear(width, dim)

    def forward(self, q_bnc: Tensor, k_bnc: Tensor, v_bnc: Tensor) -> Tensor:
        """Shapes: queries ``[B, N, C]``, keys and values ``[B, T, C]`` -> ``[B, N, C]``."""
        q, k, v = self.q_proj(q_bnc), self.k_proj(k_bnc), self.v_proj(v_bnc)
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
        return self.out_proj(attend(q, k, v).transpose(1, 2).flatten(2))


class TwoWayLayer(nn.Module):
    """Tokens to themselves, tokens to image, tokens through an MLP, image to tokens; normalised after each."""

    def __init__(self, dim: int, mlp_dim: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, dim // 2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP((dim, mlp_dim, dim))
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, dim // 2)

    def forward(self, tokens: Tensor, image: Tensor, token_code: Tensor, image_code: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: tokens and their code ``[B, N, C]``, image and its code ``[B, h * w, C]`` -> both, updated."""
        if self.first:
            # The initial tokens are their own position code, so it is neither added nor is there a residual.
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            coded = tokens + token_code
            tokens = tokens + self.self_attn(coded, coded, tokens)
        tokens = self.norm1(tokens)
        keys = image + image_code
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_code, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(keys, tokens + token_code, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Two layers and a last look of the tokens at the image."""

    def __init__(self, dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(dim, mlp_dim, first=i == 0) for i in range(2))
        self.final_attn_token_to_image = Attention(dim, dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens_bnc: Tensor, image_bnc: Tensor, image_code_bnc: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: tokens ``[B, N, C]``, image and its position code ``[B, h * w, C]`` -> both, updated."""
        tokens, image = tokens_bnc, image_bnc
        for layer in self.layers:
            tokens, image = layer(tokens, image, tokens_bnc, image_code_bnc)
        last = self.final_attn_token_to_image(tokens + tokens_bnc, image + image_code_bnc, image)
        return self.norm_final_attn(tokens + last), image

"""What somebody may do to a decoder that a quick step must not overlook."""

import torch


class _Doubled(torch.nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def _subclass(model):
    old = model.decoder.layers[0].mlp.down_proj
    model.decoder.layers[0].mlp.down_proj = new = _Doubled(*old.weight.T.shape, bias=False)
    new.weight = old.weight


def _wrapper(model):
    attention = model.decoder.layers[1].self_attn
    attention.o_proj = torch.nn.Sequential(attention.o_proj, torch.nn.Tanh())


def _own_forward(model):
    model.decoder.layers[0].mlp.forward = lambda x: x * 0


def _own_decoder_forward(model):
    right = model.decoder.forward
    model.decoder.forward = lambda *given, **options: -right(*given, **options)


def _no_bias(model):
    attention = model.decoder.layers[0].self_attn
    attention.k_proj.bias = None


def _one_layer_less(model):
    del model.decoder.layers[0]


def _one_layer_twice(model):
    model.decoder.layers[1] = model.decoder.layers[0]


def _another_width(model):
    mlp, rng = model.decoder.layers[0].mlp, torch.Generator().manual_seed(11)
    wide = mlp.gate_proj.out_features + 16
    for name in ("gate_proj", "up_proj", "down_proj"):
        rows, columns = (wide, mlp.gate_proj.in_features)[:: -1 if name == "down_proj" else 1]
        layer = torch.nn.Linear(columns, rows, bias=False)
        layer.weight.data = 0.3 * torch.randn(rows, columns, generator=rng)
        setattr(mlp, name, layer)


def _bias_on(path):
    """A bias where the decoder has none."""

    def change(model):
        layer = model.decoder.get_submodule(path)
        rng = torch.Generator().manual_seed(12)
        layer.bias = torch.nn.Parameter(torch.randn(layer.out_features, generator=rng))

    change.__name__ = f"bias on {path}"
    return change


def _another_eps(model):
    model.decoder.layers[0].input_layernorm.eps = 1.0


def _another_last_eps(model):
    model.decoder.norm.eps = 1.0


def _another_norm(model):
    width = model.decoder.config.d_model
    model.decoder.layers[0].post_attention_layernorm = torch.nn.LayerNorm(width)


def _a_linear_for_an_mlp(model):
    width = model.decoder.config.d_model
    model.decoder.layers[1].mlp = layer = torch.nn.Linear(width, width)
    layer.weight.data = torch.randn(width, width, generator=torch.Generator().manual_seed(13))


def _own_qkv(model):
    mixer = model.decoder.layers[0].self_attn
    right = mixer.qkv
    mixer.qkv = lambda *given: tuple(2 * x for x in right(*given))


def _own_rotary(model):
    right = model.decoder.rotary
    model.decoder.rotary = lambda *given, **options: right(*given, **options)[::-1]


def _short_embeddings(model):
    model.decoder.embed_tokens.max_norm = 0.5


CHANGES = [
    *(_subclass, _wrapper, _own_forward, _own_decoder_forward, _no_bias),
    *(_one_layer_less, _one_layer_twice, _another_width, _a_linear_for_an_mlp),
    *(_another_eps, _another_last_eps, _another_norm),
    *(_own_qkv, _own_rotary, _short_embeddings),
    *(_bias_on("lm_head"), _bias_on("layers.0.self_attn.o_proj")),
    *(_bias_on(f"layers.1.mlp.{name}_proj") for name in ("gate", "up", "down")),
]

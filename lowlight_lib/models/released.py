"""The authors' names of parameters, and our own of before, brought to ours of now, by patterns."""

import re

_REDI = (
    (r"^conv32x\.0\.0", "hse.squeeze"),
    (r"^conv32x\.1\.0", "hse.conv_in"),
    (r"^RDB(\d)\.dense_layers\.(\d)\.conv\.[01]",
     lambda m: f"hse.rdbs.{int(m[1]) - 1}.layers.{m[2]}"),
    (r"^RDB(\d)\.conv_1x1\.0", lambda m: f"hse.rdbs.{int(m[1]) - 1}.fuse"),
    (r"^rdball\.0", "hse.fuse"),
    (r"^conv_rdb8x\.0", "hse.conv_out"),
    (r"^resblock8x\.conv(\d)\.0", r"mse.conv\1"),
    (r"^conv32_8_cat\.0\.0", "merge"),
    (r"^conv32_8_cat\.1\.0", "expand"),
    (r"^conv2x\.0", "lse"),
    (r"^conv_2_8_32\.0", "fuse"),
)  # fmt: skip

_LLPACKNET = (  # the indices of the colours are ours
    (r"^RDB(r|g1|g2|b)\.0", lambda m: f"colours.{('r', 'g1', 'g2', 'b').index(m[1])}"),
    (r"^before_identity\.0", "conv_in"),
    (r"^RDB(\d)\.dense_layers\.(\d)\.conv\.0", lambda m: f"rdbs.{int(m[1]) - 1}.layers.{m[2]}"),
    (r"^RDB(\d)\.conv_1x1\.0", lambda m: f"rdbs.{int(m[1]) - 1}.fuse"),
    (r"^after_rdb\.0", "fuse"),
    (r"^final\.1\.dense_layers\.(\d)\.conv\.0", r"refine.layers.\1"),
    (r"^final\.1\.conv_1x1\.0", "refine.fuse"),
    (r"^final\.2\.0", "conv_out"),
)

_BRVE = (
    (r"^generator\.", ""),
    (r"^feat_extract\.main\.0", "conv_in"),
    (r"^feat_extract\.main\.2", "features"),
    (r"stage1\.conv_hr", "stage1.merge"),
    (r"^(stage[02])\.0", r"\1"),
    (r"stage1\.(en|de)coder_level(\d)(?:_(\d))?(?:\.body)?",
     lambda m: f"stage1.{m[1]}coders.{int(m[2]) - (m[1] == 'de')}.{m[3] or 0}"),
    (r"(stage[02]\.\w+coder)_level(\d)", lambda m: f"{m[1]}s.{int(m[2]) - 1}"),
    (r"encoder_(\d)\.main\.0", lambda m: f"{int(m[1]) - 1}.fuse"),
    (r"encoder_(\d)\.main\.1\.0", lambda m: f"{int(m[1]) - 1}.conv"),
    (r"stage(\d)\.skip_conv(\d)", lambda m: f"stage{m[1]}.skips.{int(m[2]) - (m[1] != '1')}"),
    (r"stage(\d)\.down(\d)\d", lambda m: f"stage{m[1]}.downs.{int(m[2]) - (m[1] != '1')}"),
    (r"stage(\d)\.up\d(\d)\.conv", lambda m: f"stage{m[1]}.ups.{int(m[2]) - (m[1] != '1')}"),
    (r"move0\.bias", "threshold"),
    (r"binary_conv", "conv"),
    (r"relu\.pr_bias0\.bias", "act.before"),
    (r"relu\.pr_prelu\.weight", "act.slope"),
    (r"relu\.pr_bias1\.bias", "act.after"),
    (r"daca\.", "attention."),
    (r"conv_skip", "skip"),
)  # fmt: skip

_PAIRLIE = (  # there each convolution stands between its padding and its ReLU: 1, 4, 7, 10, 13
    (r"^([NLR])_net\.\1_net\.(1|4|7|10|13)\.(?=weight$|bias$)",
     lambda m: f"{_PAIRLIE_NETS[m[1]]}.layers.{int(m[2]) // 3}."),
)  # fmt: skip
_PAIRLIE_NETS = {"N": "project", "L": "illumination", "R": "reflectance"}

_BEFORE = (  # ours until version 0.1
    (r"(^|\.)enter(?=\.)", r"\1conv_in"),
    (r"(^|\.)leave(?=\.)", r"\1conv_out"),
    (r"^mix(?=\.)", "merge"),
)

_TABLES = {
    "redi": _REDI + _BEFORE,
    "llpacknet": _LLPACKNET + _BEFORE,
    "brve": _BRVE + _BEFORE,
    "pairlie": _PAIRLIE,
}


def our_name(key: str, name: str) -> str:
    """The parameter of a system that a file of its authors, or an older one of ours, calls so.

    >>> our_name("pairlie", "L_net.L_net.4.weight"), our_name("redi", "hse.leave.bias")
    ('illumination.layers.1.weight', 'hse.conv_out.bias')
    """
    for pattern, ours in _TABLES.get(key, ()):
        name = re.sub(pattern, ours, name)
    return name

"""A trained model folder as one GGUF file.

    python examples/small_model/convert.py build/small_model tests/data/small-model.gguf

Qwen3 keeps its tensors in llama.cpp as they are in transformers: nothing is permuted. Matrices
become float16 (q8_0 is half as large, but then one answer in twelve differs from transformers'),
norms stay float32, and the output matrix is the embedding. The tokenizer and the chat template
travel in the file's metadata.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

ARCHITECTURE = "qwen3"
# llama.cpp's name for: every digit alone, then the pattern of GPT-2. See train.make_tokenizer.
PRE_TOKENIZER = "smollm"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tensor_name(name: str) -> str:
    """The GGUF name of a tensor of a transformers Qwen3."""
    stem = name.removesuffix(".weight")
    if stem == "model.embed_tokens":
        return "token_embd.weight"
    if stem == "model.norm":
        return "output_norm.weight"
    _, layers, number, part = stem.split(".", 3)
    assert layers == "layers", name
    return f"blk.{number}.{LAYER_TENSORS[part]}.weight"


def write_model(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """The shape of the model."""
    writer.add_name("tagmill small model")
    writer.add_description("A stand-in for tests and the demo, trained from scratch by tagmill")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


def write_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> None:
    """Tokens in the order of their ids, merges in the order of their ranks, special tokens."""
    ids: dict[str, int] = dict(tokenizer["model"]["vocab"])
    special = {token["content"]: int(token["id"]) for token in tokenizer["added_tokens"]}
    ids |= special
    tokens = sorted(ids, key=ids.__getitem__)
    assert [ids[token] for token in tokens] == list(range(len(tokens)))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(special["<|im_end|>"])
    writer.add_bos_token_id(special["<|endoftext|>"])
    writer.add_pad_token_id(special["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_tensor(writer: gguf.GGUFWriter, name: str, values: npt.NDArray[np.float32]) -> None:
    """Matrices as float16, vectors (the norms) as float32."""
    writer.add_tensor(name, values.astype(np.float16 if values.ndim == 2 else np.float32))


def convert(model: Path, target: Path) -> None:
    """Write `target` from config.json, model.safetensors and tokenizer.json of `model`."""
    writer = gguf.GGUFWriter(target, ARCHITECTURE)
    write_model(writer, json.loads((model / "config.json").read_text(encoding="utf-8")))
    write_tokenizer(writer, json.loads((model / "tokenizer.json").read_text(encoding="utf-8")))
    for name, values in sorted(load_file(model / "model.safetensors").items()):
        if name != "lm_head.weight":  # the embedding once more
            write_tensor(writer, tensor_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Convert one folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    convert(arguments.model, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

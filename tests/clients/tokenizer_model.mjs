// Writes the smallest checkpoint that carries a given tokenizer: a Llama of one layer, all zeros.
//   tokenizer_model.mjs TOKENIZER_FOLDER OUT_FOLDER         with a tokenizer.json
//   tokenizer_model.mjs SENTENCEPIECE_MODEL OUT_FOLDER TOKENS
import {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const [source, out, count] = process.argv.slice(2);
const width = 32;

function countTokens() {
  const tokenizer = JSON.parse(readFileSync(join(source, "tokenizer.json"), "utf8"));
  const ids = [...Object.values(tokenizer.model.vocab), ...tokenizer.added_tokens.map((token) => token.id)];
  return ids.reduce((most, id) => Math.max(most, id), 0) + 1;
}
const tokens = count ? Number(count) : countTokens();

const block = "model.layers.0.";
const shapes = {
  "model.embed_tokens.weight": [tokens, width],
  [block + "input_layernorm.weight"]: [width],
  [block + "mlp.down_proj.weight"]: [width, width],
  [block + "mlp.gate_proj.weight"]: [width, width],
  [block + "mlp.up_proj.weight"]: [width, width],
  [block + "post_attention_layernorm.weight"]: [width],
  [block + "self_attn.k_proj.weight"]: [width, width],
  [block + "self_attn.o_proj.weight"]: [width, width],
  [block + "self_attn.q_proj.weight"]: [width, width],
  [block + "self_attn.v_proj.weight"]: [width, width],
  "model.norm.weight": [width],
};
const header = {};
let end = 0;
for (const [name, shape] of Object.entries(shapes)) {
  const begin = end;
  end += 2 * shape.reduce((product, size) => product * size, 1);
  header[name] = {dtype: "F16", shape, data_offsets: [begin, end]};
}
let text = JSON.stringify(header);
text += " ".repeat((8 - (text.length % 8)) % 8);
const size = Buffer.alloc(8);
size.writeBigUInt64LE(BigInt(text.length));

mkdirSync(out, {recursive: true});
writeFileSync(join(out, "model.safetensors"), Buffer.concat([size, Buffer.from(text), Buffer.alloc(end)]));
writeFileSync(join(out, "config.json"), JSON.stringify({
  architectures: ["LlamaForCausalLM"], model_type: "llama", vocab_size: tokens, hidden_size: width,
  intermediate_size: width, num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1,
  max_position_embeddings: 64, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true,
}));
const files = count
  ? [[source, "tokenizer.model"]]
  : ["tokenizer.json", "tokenizer_config.json"].map((name) => [join(source, name), name]);
for (const [path, name] of files) {
  if (existsSync(path)) copyFileSync(path, join(out, name));
}

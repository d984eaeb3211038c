// Hugging Face's own GGUF parser reads the same out of each file as `holdfast inspect --json`: keys,
// tensor names, types, shapes, and offsets that follow from the sizes.
//   gguf_equal.mjs HOLDFAST MODEL.gguf…
import {execFileSync} from "node:child_process";
import {isDeepStrictEqual} from "node:util";
import {GGMLQuantizationType, gguf} from "@huggingface/gguf";

const [holdfast, ...paths] = process.argv.slice(2);
const alignment = 32;

// As JSON has it: no big integers; floats as the nearest float32.
const plain = (value) => {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" ? Math.fround(value) : value;
};

// inspect shortens long arrays to {length, first}.
const shortened = (value, like) =>
  Array.isArray(value) && like && !Array.isArray(like) && typeof like === "object"
    ? {length: value.length, first: value.slice(0, like.first.length)}
    : value;

const differences = [];
const check = (path, what, ours, theirs) => {
  if (!isDeepStrictEqual(ours, theirs)) {
    differences.push(`${path}: ${what}: ${JSON.stringify(ours)}, ${JSON.stringify(theirs)}`);
  }
};

for (const path of paths) {
  const answer = execFileSync(holdfast, ["inspect", path, "--json"], {encoding: "utf8", maxBuffer: 1 << 28});
  const ours = JSON.parse(answer.trim().split("\n").at(-1)).files[0];
  const theirs = await gguf(path, {allowLocalFile: true});
  const {version, tensor_count: tensors, kv_count: keys, ...metadata} = theirs.metadata;
  check(path, "version", 3, version);
  check(path, "keys", Object.keys(ours.metadata), Object.keys(metadata));
  check(path, "number of keys", Object.keys(ours.metadata).length, Number(keys));
  check(path, "number of tensors", ours.tensors, Number(tensors));
  for (const [key, value] of Object.entries(ours.metadata)) {
    const other = plain(metadata[key]);
    const first = value?.first ? {...value, first: plain(value.first)} : plain(value);
    check(path, key, first, shortened(other, value));
  }
  let offset = 0;
  ours.tensor_table.forEach(([name, type, shape, bytes], i) => {
    const other = theirs.tensorInfos[i];
    check(path, `tensor ${i}`, [name, type, shape, offset],
      [other.name, GGMLQuantizationType[other.dtype], other.shape.map(Number), Number(other.offset)]);
    offset += Math.ceil(bytes / alignment) * alignment;
  });
}
differences.forEach((difference) => console.log(`FAILED: ${difference}`));
console.log(`${paths.length} files, ${differences.length} differences`);
process.exit(differences.length === 0 && paths.length > 0 ? 0 : 1);

// What Hugging Face's own packages make of a file's bytes: its chunks and its name in Xet.
import { createKeyed } from "@huggingface/blake3-jit";
import { fileHash, getChunks, hashToHex, xorbHash } from "@huggingface/xetchunk-wasm";
import { Hasher } from "gearhash-jit";

const min = 8 * 1024;
const max = 128 * 1024;
const window = 64;
const chunkKey = Uint8Array.from(
  Buffer.from("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229", "hex"),
);

// xetchunk-wasm 0.2.0 takes a cut from the moment that it hashes, up to 64 bytes before a chunk has its
// least length; xet-core goes on hashing there. So: its gear hash, and xet-core's rule.
function nextCut(bytes, start) {
  const end = Math.min(bytes.length, start + max);
  const gear = new Hasher(0xffff000000000000n);
  let at = Math.min(end, start + min - window - 1);
  while (at < end) {
    const found = gear.nextMatch(bytes.subarray(at, end));
    if (found === -1) return end;
    at += found;
    if (at - start >= min) return at;
  }
  return end;
}

export function chunksOf(bytes) {
  const chunks = [];
  for (let start = 0; start < bytes.length; ) {
    const end = nextCut(bytes, start);
    const hash = createKeyed(chunkKey).update(bytes.subarray(start, end)).finalize(32);
    chunks.push({ hash, length: end - start });
    start = end;
  }
  return chunks;
}

// Whether the package alone, with its own cuts, is an oracle for these bytes.
export function packageAgrees(bytes) {
  return getChunks(bytes)
    .slice(0, -1)
    .every((chunk) => chunk.length >= min);
}

export const packageChunks = (bytes) => getChunks(bytes);
export const nameOfFile = (chunks) => hashToHex(fileHash(chunks));
export const nameOfXorb = (chunks) => hashToHex(xorbHash(chunks));
export const nameOfChunk = (chunk) => hashToHex(chunk.hash);

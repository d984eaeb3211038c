// Tokenizes texts with a real llama.cpp from a GGUF and with Hugging Face's own library from the
// tokenizer.json that it was made of: the ids must be equal.
//   tokenizer_equal.mjs MODEL.gguf TOKENIZER_FOLDER
import {existsSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {Tokenizer} from "@huggingface/tokenizers";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const texts = [
  "Hello, world! I've seen it: they'll say we're 'fine'.",
  "  leading spaces, trailing spaces  ",
  "tabs\tand\n\nblank lines\r\n   indented",
  "1 22 333 4444 55555 3.14159 1,000,000 2026-11-22",
  "Übermäßig große Füße; naïve café; Ærøskøbing",
  "Быстрая коричневая лиса прыгает через ленивую собаку.",
  "敏捷的棕色狐狸跳过了懒狗。 これは日本語です。 한국어 문장입니다.",
  "مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก",
  "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // x != y && z >= w",
  "🚀🦙 emoji 👨‍👩‍👧 ✅ ------======= ```code``` \"\"\"quoted\"\"\" ......!!!!!!??????",
  "IT'S HE'LL CamelCaseWords snake_case_words kebab-case-words ALLCAPS",
];

const [path, folder] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const config = existsSync(join(folder, "tokenizer_config.json")) ? read("tokenizer_config.json") : {};
const original = new Tokenizer(read("tokenizer.json"), config);

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path, vocabOnly: true});

let failures = 0;
for (const text of texts) {
  const expected = original.encode(text, {add_special_tokens: false}).ids.map(Number);
  const found = model.tokenize(text, false).map(Number);
  if (JSON.stringify(found) === JSON.stringify(expected)) continue;
  failures += 1;
  console.error(`FAILED: ${JSON.stringify(text)}\n  llama.cpp  ${found}\n  original   ${expected}`);
}
console.error(`${path}: ${texts.length - failures} of ${texts.length} texts equal`);
process.exit(failures === 0 ? 0 : 1);

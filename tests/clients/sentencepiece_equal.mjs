// Tokenizes texts with a real llama.cpp from a GGUF: the ids must be those that Google's own library
// gave for the same vocabulary (tests/golden/tokenizers/sentencepiece.json).
//   sentencepiece_equal.mjs MODEL.gguf GOLDEN.json VOCABULARY
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [path, golden, name] = process.argv.slice(2);
const {texts, vocabularies} = JSON.parse(readFileSync(golden, "utf8"));
const {ids} = vocabularies[name];

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path, vocabOnly: true});

let failures = 0;
texts.forEach((text, i) => {
  const found = model.tokenize(text, false).map(Number);
  if (JSON.stringify(found) === JSON.stringify(ids[i])) return;
  failures += 1;
  console.error(`FAILED: ${JSON.stringify(text)}\n  llama.cpp  ${found}\n  original   ${ids[i]}`);
});
console.error(`${name}: ${texts.length - failures} of ${texts.length} texts equal`);
process.exit(failures === 0 ? 0 : 1);

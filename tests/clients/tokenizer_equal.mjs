// Tokenizes texts with a real llama.cpp from a GGUF and with Hugging Face's own library from the
// tokenizer.json that it was made of: the ids must be equal.
//   tokenizer_equal.mjs (MODEL.gguf TOKENIZER_FOLDER)…
import {existsSync, readFileSync} from "node:fs";
import {basename, join} from "node:path";
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
  "一二三，四五六。「七八九」ｶﾀｶﾅ ひらがな 漢字かな交じり文 ＡＢＣ１２３",
  "السَّلَامُ عَلَيْكُمْ ١٢٣ ؟ فارسی: می‌خواهم",
  "👩🏽‍🚀 🏳️‍🌈 👨‍👨‍👧‍👦 ☺️",
  "a    b     c      d\t\t\te\n\n\n\nf \n \n g   ",
];

// Where the two libraries cannot agree, by the tokenizer's folder: the texts and why.
const apart = {
  "phi3-mini": {texts: /<\/s>/, why: "llama.cpp lets this token take the space behind it only in models named Phi-3"},
  "xlmr-json-unigram": {
    texts: /^\s|\s\s|before|[\u0600-\u06ff\u3000-\u9fff]|\p{Extended_Pictographic}/u,
    why: "llama.cpp folds white space, and the JavaScript library approximates the precompiled map",
  },
};

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
let failures = 0;

async function compareAll(path, folder) {
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const config = existsSync(join(folder, "tokenizer_config.json")) ? read("tokenizer_config.json") : {};
  const tokenizer = read("tokenizer.json");
  const original = new Tokenizer(tokenizer, config);
  const added = tokenizer.added_tokens.slice(0, 16).map(({content}) => `before ${content} between${content}after`);
  const model = await llama.loadModel({modelPath: path, vocabOnly: true});
  const known = apart[basename(folder)];
  let compared = 0;
  let equal = 0;
  function compare(text, withSpecial) {
    if (known?.texts.test(text)) return;
    compared += 1;
    const expected = original.encode(text, {add_special_tokens: false}).ids.map(Number);
    const found = model.tokenize(text, withSpecial).map(Number);
    if (JSON.stringify(found) === JSON.stringify(expected)) {
      equal += 1;
    } else {
      console.error(`FAILED: ${JSON.stringify(text)}\n  llama.cpp  ${found}\n  original   ${expected}`);
    }
  }
  texts.forEach((text) => compare(text, false));
  added.forEach((text) => compare(text, true));
  const rest = known ? `, ${texts.length + added.length - compared} left out: ${known.why}` : "";
  console.error(`${basename(folder)}: ${equal} of ${compared} texts equal${rest}`);
  failures += compared - equal;
  await model.dispose();
}

const paths = process.argv.slice(2);
for (let i = 0; i < paths.length; i += 2) await compareAll(paths[i], paths[i + 1]);
process.exit(failures === 0 ? 0 : 1);

// Loads a GGUF with a real llama.cpp and continues a prompt greedily.
//   llama_generate.mjs MODEL.gguf PROMPT COUNT
// Prints one JSON object: {"prompt_tokens", "tokens", "text"}.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [path, prompt, countText] = process.argv.slice(2);
const count = Number(countText);

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path});
// More than one thread spins on a busy machine.
const context = await model.createContext({contextSize: 256, threads: 1});
const sequence = context.getSequence();

const begin = model.tokens.shouldPrependBosToken && model.tokens.bos != null ? [model.tokens.bos] : [];
const promptTokens = [...begin, ...model.tokenize(prompt)];
const tokens = [];
for await (const token of sequence.evaluate(promptTokens, {temperature: 0})) {
  tokens.push(Number(token));
  if (tokens.length >= count) break;
}
console.log(JSON.stringify({
  prompt_tokens: promptTokens.map(Number),
  tokens,
  text: model.detokenize(tokens),
}));
process.exit(0);

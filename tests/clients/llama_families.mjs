// Loads each GGUF with a real llama.cpp and computes with it: decoders give the probabilities of the
// next tokens, encoders an embedding. All must be finite numbers.
//   llama_families.mjs MODEL.gguf…
import {basename} from "node:path";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

// What this llama.cpp, or its binding, cannot do with a correct file, and how far it gets.
const noEncoder = "node-llama-cpp runs no encoder in front of a decoder";
const noLowRank = "deepseek2.cpp wants a query rank unless the model has 26, 27 or 48 layers";
const limits = {
  "deepseek2-lite": {loads: false, why: noLowRank},
  "openseek": {loads: false, why: noLowRank},
  "t5-gated": {loads: true, why: noEncoder},
  "mt5": {loads: true, why: noEncoder},
  "umt5": {loads: true, why: noEncoder},
  "llama-extreme-f32": {loads: true, why: "its weights overflow on purpose"},
  "stablelm2-qknorm": {loads: true, why: "a quarter of its tiny heads is one number, and rotation takes pairs"},
};
const encoders = ["bert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "modern-bert", "nomic-bert", "t5encoder"];
const prompt = "abc de 12";

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
// More than one thread spins on a busy machine.
const size = {contextSize: 64, batchSize: 64, threads: 1};

async function embed(model) {
  const context = await model.createEmbeddingContext(size);
  const {vector} = await context.getEmbeddingFor(prompt);
  await context.dispose();
  if (!vector.every(Number.isFinite)) throw new Error("the embedding has numbers that are not finite");
  if (!vector.some((value) => value !== 0)) throw new Error("the embedding is zero");
  return `${vector.length} numbers`;
}

async function generate(model) {
  const context = await model.createContext(size);
  const sequence = context.getSequence();
  const next = {generateNext: {token: true, probabilities: true}};
  const text = [];
  let input = model.tokenize(prompt);
  for (let step = 0; step < 4; ++step) {
    const answers = await sequence.controlledEvaluate(input.map((token, i) => (i + 1 < input.length ? token : [token, next])));
    const {token, probabilities} = answers.at(-1).next;
    const sum = [...probabilities.values()].reduce((total, value) => total + value, 0);
    if (!(Math.abs(sum - 1) < 1e-3)) throw new Error(`probabilities add up to ${sum}`);
    text.push(Number(token));
    input = [token];
  }
  await context.dispose();
  return `tokens ${text}`;
}

let failures = 0;
for (const path of process.argv.slice(2)) {
  const name = basename(path, ".gguf");
  const limit = limits[name];
  console.error(name); // a file that llama.cpp aborts on is the last one named
  if (limit && !limit.loads) {
    console.log(`${name}: not loaded: ${limit.why}`);
    continue;
  }
  try {
    const model = await llama.loadModel({modelPath: path});
    const architecture = model.fileInfo.metadata.general.architecture;
    const compute = encoders.includes(architecture) ? embed : generate;
    const result = limit ? `loaded; ${limit.why}` : await compute(model);
    console.log(`${name}: ${architecture}: ${result}`);
    await model.dispose();
  } catch (error) {
    failures += 1;
    console.log(`FAILED: ${name}: ${error.message}`);
  }
}
console.log(`${process.argv.length - 2 - failures} of ${process.argv.length - 2} models`);
process.exit(failures === 0 ? 0 : 1);

// A real browser, headless, for the scripts beside this one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const browser = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => process.env.PATH.split(delimiter).map((folder) => join(folder, name)))
  .find(existsSync);
if (!browser) skip("no chromium (Debian package chromium)");

// What cannot be tried here fails nothing.
export function skip(why) {
  console.log(`SKIPPED: ${why}`);
  process.exit(0);
}

// `folder` becomes its home, with its profile in it. `options` stand behind ours on the command line.
export function startBrowser(folder, ...options) {
  return spawn(
    browser,
    ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
      "--disable-background-networking", "--disable-component-update",
      `--user-data-dir=${join(folder, "profile")}`, "--remote-debugging-port=0", ...options],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: folder } },
  );
}

// When it is gone, and writes nothing more into its folder.
export async function stopBrowser(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

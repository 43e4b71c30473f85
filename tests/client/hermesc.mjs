// Runs the Hermes compiler that npm brought, with the arguments given.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const home = dirname(createRequire(import.meta.url).resolve("hermes-compiler/package.json"));
const platform = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[process.platform];
execFileSync(join(home, "hermesc", platform, "hermesc"), process.argv.slice(2), { stdio: "inherit" });

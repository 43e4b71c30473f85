// bundle.mjs ENTRY OUT [options of esbuild as JSON]
import { build } from "esbuild";

const [entry, outfile, options = "{}"] = process.argv.slice(2);
await build({ entryPoints: [entry], outfile, bundle: true, target: "es2020", format: "esm", logLevel: "error", ...JSON.parse(options) });

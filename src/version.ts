/** hutch's own version; the Ollama API reports `Config.reportedVersion` instead, which clients parse. */
import manifest from "../package.json" with { type: "json" };

export const version: string = manifest.version;

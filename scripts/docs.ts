/** `bun run docs`: writes the pages that are made from code. */
import { join } from "node:path";
import { variablesPage } from "../src/config/document.ts";
import { writeAtomic } from "./build/files.ts";

writeAtomic(join(import.meta.dir, "..", "docs", "variables.md"), variablesPage());

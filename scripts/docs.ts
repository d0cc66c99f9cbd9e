/** `bun run docs`: writes the pages that are made from code. */
import { join } from "node:path";
import { variablesPage } from "../src/config/document.ts";
import { apiPage } from "./api-page.ts";
import { writeAtomic } from "./build/files.ts";

const folder = join(import.meta.dir, "..", "docs");
writeAtomic(join(folder, "variables.md"), variablesPage());
writeAtomic(join(folder, "api.md"), apiPage());

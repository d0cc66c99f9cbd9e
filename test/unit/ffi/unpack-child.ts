/** Unpacks once, as one of many processes; prints the folder. Arguments: cache, temp, libraries as JSON. */
import { libraryFolder } from "../../../ffi/unpack.ts";

const [cacheFolder, tempFolder = "", libraries = ""] = process.argv.slice(2);
console.log(libraryFolder({ cacheFolder, tempFolder }, JSON.parse(libraries)));

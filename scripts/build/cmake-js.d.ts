/** The part of cmake-js 8.0.0 that the build uses; the package has no types of its own. */
declare module "cmake-js" {
  export interface CMakeOptions {
    /** Folder with CMakeLists.txt. */
    directory: string;
    /** Build folder. */
    out: string;
    config: "Release" | "Debug";
    generator?: string;
    target?: string;
    /** Number of jobs, as text. */
    parallel?: string;
    /** Without it, headers of a Node distribution are looked for. */
    isNodeApi: true;
    cMakeOptions?: Record<string, string>;
    /** Appended to the command, so they win over everything that cmake-js sets itself. */
    extraCMakeArgs?: string[];
  }
  export class CMake {
    constructor(options: CMakeOptions);
    getConfigureCommand(): Promise<string[]>;
    getBuildCommand(): Promise<string[]>;
  }
}

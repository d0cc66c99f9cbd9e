/** The help texts of a chat (cli.md 7). */

function rows(
  title: string,
  entries: readonly (readonly [string, string])[],
  width: number,
): string {
  const lines = entries.map(([left, right]) => `  ${left.padEnd(width)} ${right}`);
  return `${title}:\n${lines.join("\n")}\n\n`;
}

export const chatHelp = `${rows(
  "Available Commands",
  [
    ["/set", "Set session variables"],
    ["/show", "Show model information"],
    ["/list [prefix]", "List models"],
    ["/load <model>", "Load a session or model"],
    ["/save <model>", "Save your current session"],
    ["/clear", "Clear session context"],
    ["/bye", "Exit"],
    ["/?, /help", "Help for a command"],
    ["/? shortcuts", "Help for keyboard shortcuts"],
  ],
  15,
)}Use """ to begin a multi-line message, or Ctrl + j for another line.\n\n`;

export const setHelp = rows(
  "Available Commands",
  [
    ["/set parameter ...", "Set a parameter"],
    ["/set system <string>", "Set system message"],
    ["/set history", "Enable history"],
    ["/set nohistory", "Disable history"],
    ["/set wordwrap", "Enable wordwrap"],
    ["/set nowordwrap", "Disable wordwrap"],
    ["/set format json", "Enable JSON mode"],
    ["/set noformat", "Disable formatting"],
    ["/set verbose", "Show LLM stats"],
    ["/set quiet", "Disable LLM stats"],
    ["/set think [level]", "Enable thinking"],
    ["/set nothink", "Disable thinking"],
  ],
  22,
);

export const showHelp = rows(
  "Available Commands",
  [
    ["/show info", "Show details for this model"],
    ["/show license", "Show model license"],
    ["/show modelfile", "Show Modelfile for this model"],
    ["/show parameters", "Show parameters for this model"],
    ["/show system", "Show system message"],
    ["/show template", "Show prompt template"],
  ],
  18,
);

export const shortcutHelp = rows(
  "Available keyboard shortcuts",
  [
    ["Ctrl + a", "Move to the beginning of the line (Home)"],
    ["Ctrl + e", "Move to the end of the line (End)"],
    ["Ctrl + b, Ctrl + f", "Move back or forward one character (arrows)"],
    ["Alt + b, Alt + f", "Move back or forward one word (Ctrl + arrows)"],
    ["Ctrl + p, Ctrl + n", "Earlier or later message (arrows)"],
    ["Ctrl + k", "Cut to the end of the line"],
    ["Ctrl + u", "Cut to the beginning of the line"],
    ["Ctrl + w", "Cut the word before the cursor"],
    ["Alt + d", "Cut the word after the cursor"],
    ["Ctrl + y", "Put back what was cut last"],
    ["Ctrl + j", "Begin another line of the message (Alt + Enter)"],
    ["Ctrl + g", "Write the message in an editor"],
    ["Ctrl + l", "Clear the screen"],
    ["Ctrl + c", "Stop the answer, drop the line"],
    ["Ctrl + d", "Exit"],
    ["Ctrl + z", "Put hutch in the background"],
  ],
  20,
);

export const parameterHelp = rows(
  "Available Parameters",
  [
    ["/set parameter seed <int>", "Random number seed"],
    ["/set parameter num_predict <int>", "Max number of tokens to predict"],
    ["/set parameter top_k <int>", "Pick from top k num of tokens"],
    ["/set parameter top_p <float>", "Pick token based on sum of probabilities"],
    ["/set parameter min_p <float>", "Pick token based on top token probability * min_p"],
    ["/set parameter num_ctx <int>", "Set the context size"],
    ["/set parameter temperature <float>", "Set creativity level"],
    ["/set parameter repeat_penalty <float>", "How strongly to penalize repetitions"],
    ["/set parameter repeat_last_n <int>", "Set how far back to look for repetitions"],
    ["/set parameter num_gpu <int>", "The number of layers to send to the GPU"],
    ["/set parameter stop <string> <string> ...", "Set the stop parameters"],
  ],
  41,
);

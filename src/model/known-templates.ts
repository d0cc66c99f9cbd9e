/**
 * Go templates for GGUFs that bring a well-known Jinja template (create.md 9): the family whose Jinja
 * text is less than 100 edits away gives its Go template and stop texts to the model. Of the known
 * texts only prints are kept, one digit of 16 for each character: enough to count edits by, a few of
 * them perhaps unseen, and no text. Anything else keeps its Jinja, which is better than a wrong match.
 */
import prints from "./known-prints.json" with { type: "json" };

export interface KnownTemplate {
  readonly name: string;
  /** Go template. */
  readonly template: string;
  readonly stop: readonly string[];
}

interface Turn {
  readonly before: string;
  readonly after: string;
}

/** Each message between the texts of its role, then what opens the answer; other roles are left out. */
function turns(roles: Readonly<Record<string, Turn>>, opening: string): string {
  const branches = Object.entries(roles).map(
    ([role, { before, after }]) => `if eq .Role "${role}" }}${before}{{ .Content }}${after}{{ `,
  );
  return `{{- range .Messages }}{{ ${branches.join("else ")}end }}{{ end }}${opening}`;
}

/** One form for all roles, each with its name. */
function roleLoop(open: (role: string) => string, end: string): string {
  return `{{- range .Messages }}${open("{{ .Role }}")}{{ .Content }}${end}\n{{ end }}${open("assistant")}`;
}

/** System text as it is, then headed turns: `user`, text, `assistant`, text. */
function headed(user: string, assistant: string, end = ""): string {
  return turns(
    {
      system: { before: "", after: "\n\n" },
      user: { before: `${user}\n`, after: "\n\n" },
      assistant: { before: `${assistant}\n`, after: `${end}\n\n` },
    },
    `${assistant}\n`,
  );
}

/** The system text opens the next user turn: there are only two roles. */
function folded(between: string): string {
  return [
    '{{- $system := "" }}',
    "{{- range .Messages }}",
    '{{- if eq .Role "system" }}{{ $system = .Content }}',
    '{{- else if eq .Role "user" }}<start_of_turn>user',
    `{{ if $system }}{{ $system }}${between}{{ $system = "" }}{{ end }}{{ .Content }}<end_of_turn>`,
    '{{ else if eq .Role "assistant" }}<start_of_turn>model',
    "{{ .Content }}<end_of_turn>",
    "{{ end }}",
    "{{- end }}<start_of_turn>model",
    "",
  ].join("\n");
}

/** `[INST]` turns with the system text inside the next one. */
function instructions(system: string, noSystem: string, close: string, next: string): string {
  return [
    '{{- $system := "" }}',
    `{{- range $i, $message := .Messages }}`,
    '{{- if eq .Role "system" }}{{ $system = .Content }}',
    `{{- else if eq .Role "user" }}[INST] {{ if $system }}${system}{{ $system = "" }}{{ else }}${noSystem}{{ end }}{{ .Content }}${close}`,
    `{{- else if eq .Role "assistant" }} {{ .Content }}</s>${next}`,
    "{{- end }}",
    "{{- end }}",
  ].join("\n");
}

const command = (role: string) => `<|START_OF_TURN_TOKEN|><|${role}_TOKEN|>`;
const correct = (role: string) => `GPT4 Correct ${role}: `;

const families: readonly KnownTemplate[] = [
  {
    name: "chatml",
    template: roleLoop((role) => `<|im_start|>${role}\n`, "<|im_end|>"),
    stop: ["<|im_start|>", "<|im_end|>"],
  },
  {
    name: "phi-3",
    template: roleLoop((role) => `<|${role}|>\n`, "<|end|>"),
    stop: ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
  },
  {
    name: "zephyr",
    template: roleLoop((role) => `<|${role}|>\n`, "</s>"),
    stop: ["<|system|>", "</s>", "<|user|>", "<|assistant|>"],
  },
  {
    name: "llama3-instruct",
    template:
      "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>\n{{- end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
    stop: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
  },
  {
    name: "alfred",
    template:
      "{{- range .Messages }}<start_{{ .Role }}>{{ .Content }}<end_message>{{ end }}<start_assistant>",
    stop: ["<start_system>", "<end_message>", "<start_user>", "<start_assistant>"],
  },
  {
    name: "alpaca",
    template: headed("### Instruction:", "### Response:"),
    stop: ["### Instruction:", "### Response"],
  },
  {
    name: "magicoder",
    template: headed("@@ Instruction", "@@ Response"),
    stop: ["@@ Instruction", "@@ Response"],
  },
  {
    name: "starcoder2-instruct",
    template: headed("### Instruction", "### Response", "<|endoftext|>"),
    stop: ["### Instruction", "### Response", "<|endoftext|>"],
  },
  {
    name: "chatqa",
    template: turns(
      {
        system: { before: "System: ", after: "\n\n" },
        user: { before: "User: ", after: "\n\n" },
        assistant: { before: "Assistant: ", after: "\n\n" },
      },
      "Assistant:",
    ),
    stop: ["System:", "User:", "Assistant:", "<|begin_of_text|>"],
  },
  {
    name: "codellama-70b-instruct",
    template:
      "{{- range .Messages }}Source: {{ .Role }}\n\n {{ .Content }} <step> {{ end }}Source: assistant\nDestination: user\n\n ",
    stop: ["Source:", "Destination:", "<step>"],
  },
  {
    name: "command-r",
    template: turns(
      {
        system: { before: command("SYSTEM"), after: "<|END_OF_TURN_TOKEN|>" },
        user: { before: command("USER"), after: "<|END_OF_TURN_TOKEN|>" },
        assistant: { before: command("CHATBOT"), after: "<|END_OF_TURN_TOKEN|>" },
      },
      command("CHATBOT"),
    ),
    stop: ["<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"],
  },
  {
    name: "falcon-instruct",
    template: turns(
      {
        system: { before: "System: ", after: "\n" },
        user: { before: "User:\n", after: "\n" },
        assistant: { before: "Falcon:\n", after: "\n" },
      },
      "Falcon:\n",
    ),
    stop: ["User:", "Assistant:"],
  },
  {
    name: "gemma-instruct",
    template: folded("\n"),
    stop: ["<start_of_turn>", "<end_of_turn>"],
  },
  {
    name: "gemma3-instruct",
    template: folded("\n\n"),
    stop: ["<end_of_turn>"],
  },
  {
    name: "granite-instruct",
    template: turns(
      {
        system: { before: "System:\n", after: "\n\n" },
        user: { before: "Question:\n", after: "\n\n" },
        assistant: { before: "Answer:\n", after: "\n\n" },
      },
      "Answer:\n",
    ),
    stop: ["System:", "Question:", "Answer:"],
  },
  {
    name: "llama2-chat",
    template: instructions(
      "<<SYS>>\n{{ $system }}\n<</SYS>>\n\n",
      "<<SYS>><</SYS>>\n\n",
      " [/INST]",
      "<s>",
    ),
    stop: ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
  },
  {
    name: "mistral-instruct",
    template: instructions("{{ $system }}\n\n", "", "[/INST]", ""),
    stop: ["<|im_start|>", "<|im_end|>"],
  },
  {
    name: "openchat",
    template: turns(
      {
        system: { before: correct("System"), after: "<|end_of_turn|>" },
        user: { before: correct("User"), after: "<|end_of_turn|>" },
        assistant: { before: correct("Assistant"), after: "<|end_of_turn|>" },
      },
      correct("Assistant").trimEnd(),
    ),
    stop: ["<|end_of_turn|>"],
  },
  {
    name: "solar-instruct",
    template: turns(
      {
        system: { before: "### System:\n", after: "\n\n" },
        user: { before: "### User:\n", after: "\n\n" },
        assistant: { before: "### Assistant:\n", after: "</s>\n\n" },
      },
      "### Assistant:\n",
    ),
    stop: ["### System:", "### User:", "### Assistant"],
  },
];

/** Fewest edits at which a text is no longer the known one. */
const limit = 100;

/** One digit of 16 for each code point. */
export function printOf(text: string): string {
  let print = "";
  for (const character of text) {
    // A multiplier under which the characters that Jinja uses most get different digits.
    print += (Math.imul(character.codePointAt(0) ?? 0, 374_761_393) >>> 28).toString(16);
  }
  return print;
}

/** Edits between two prints, or `most` as soon as they cannot be fewer. Only the band that counts is looked at. */
export function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let previous = Int32Array.from({ length: b.length + 1 }, (_, i) => i);
  let row = new Int32Array(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - most);
    const to = Math.min(b.length, i + most);
    row[from - 1] = from === 1 ? i : most;
    let least = row[from - 1] as number;
    for (let j = from; j <= to; j++) {
      const change = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      // Outside the band everything costs too much.
      const above = j === i + most ? most : (previous[j] as number) + 1;
      const cost = Math.min(change, above, (row[j - 1] as number) + 1);
      row[j] = cost;
      if (cost < least) least = cost;
    }
    if (least >= most) return most;
    [previous, row] = [row, previous];
  }
  return Math.min(most, previous[b.length] as number);
}

/** The family whose template a Jinja text is, or nearly is; the nearest, or the first of those. */
export function knownTemplate(jinja: string): KnownTemplate | undefined {
  const print = printOf(jinja);
  let name: string | undefined;
  let distance = limit;
  for (const known of prints) {
    const found = editDistance(print, known.print, distance);
    if (found >= distance) continue;
    name = known.name;
    distance = found;
  }
  return families.find((family) => family.name === name);
}

/** Names of all families with a template. */
export const knownNames: readonly string[] = families.map(({ name }) => name);

/** A family's template by its name. */
export function familyNamed(name: string): KnownTemplate | undefined {
  return families.find((family) => family.name === name);
}

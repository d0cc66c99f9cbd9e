/**
 * Go templates for GGUFs that bring a well-known Jinja template (create.md 9). A GGUF's text is
 * compared with the plain form of each family's template by edit distance; under 100 the family's Go
 * template and stop texts are stored with the model. Families that are not here keep their Jinja.
 */

export interface KnownTemplate {
  readonly name: string;
  /** Go template. */
  readonly template: string;
  readonly stop: readonly string[];
}

interface Family extends KnownTemplate {
  /** The family's Jinja template in its plain forms. */
  readonly jinja: readonly string[];
}

/** One turn after another, each with its role, closed by `end`; then the opening of the answer. */
function roleLoop(open: (role: string) => string, end: string): string {
  return `{{- range .Messages }}${open("{{ .Role }}")}{{ .Content }}${end}\n{{ end }}${open("assistant")}`;
}

const message = "message['role']";
const content = "message['content']";

const families: readonly Family[] = [
  {
    name: "chatml",
    template: roleLoop((role) => `<|im_start|>${role}\n`, "<|im_end|>"),
    stop: ["<|im_start|>", "<|im_end|>"],
    jinja: [
      `{% for message in messages %}{{'<|im_start|>' + ${message} + '\\n' + ${content} + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
      `{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% for message in messages %}{{'<|im_start|>' + ${message} + '\\n' + ${content} + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
      `{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + ${message} + '\\n' + ${content} + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
    ],
  },
  {
    name: "phi-3",
    template: roleLoop((role) => `<|${role}|>\n`, "<|end|>"),
    stop: ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
    jinja: [
      `{{ bos_token }}{% for message in messages %}{% if ${message} == 'user' %}{{'<|user|>' + '\\n' + ${content} + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif ${message} == 'assistant' %}{{${content} + '<|end|>' + '\\n'}}{% endif %}{% endfor %}`,
      `{% for message in messages %}{% if ${message} == 'user' %}{{ '<|user|>\\n' + ${content} + '<|end|>\\n' }}{% elif ${message} == 'assistant' %}{{ '<|assistant|>\\n' + ${content} + '<|end|>\\n' }}{% endif %}{% endfor %}`,
      `{% for message in messages %}{% if ${message} == 'system' %}{{'<|system|>\\n' + ${content} + '<|end|>\\n'}}{% elif ${message} == 'user' %}{{'<|user|>\\n' + ${content} + '<|end|>\\n'}}{% elif ${message} == 'assistant' %}{{'<|assistant|>\\n' + ${content} + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}`,
    ],
  },
  {
    name: "zephyr",
    template: roleLoop((role) => `<|${role}|>\n`, "</s>"),
    stop: ["<|system|>", "</s>", "<|user|>", "<|assistant|>"],
    jinja: [
      `{% for message in messages %}\n{% if ${message} == 'user' %}\n{{ '<|user|>\\n' + ${content} + eos_token }}\n{% elif ${message} == 'system' %}\n{{ '<|system|>\\n' + ${content} + eos_token }}\n{% elif ${message} == 'assistant' %}\n{{ '<|assistant|>\\n'  + ${content} + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}`,
    ],
  },
  {
    name: "llama3-instruct",
    template:
      "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>\n{{- end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
    stop: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    jinja: [
      `{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + ${message} + '<|end_header_id|>\\n\\n'+ ${content} | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}`,
    ],
  },
];

/** Edit distance in code points, or `limit` as soon as it cannot be less. */
export function editDistance(a: readonly string[], b: readonly string[], limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const cost = Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      row.push(cost);
      if (cost < least) least = cost;
    }
    if (least >= limit) return limit;
    previous = row;
  }
  return Math.min(limit, previous[b.length] ?? limit);
}

/** The family whose template a Jinja text is, or nearly is; undefined for all others. */
export function knownTemplate(jinja: string): KnownTemplate | undefined {
  const text = [...jinja];
  let best: { family: Family; distance: number } | undefined;
  for (const family of families) {
    for (const form of family.jinja) {
      const distance = editDistance(text, [...form], best?.distance ?? 100);
      if (distance < (best?.distance ?? 100)) best = { family, distance };
    }
  }
  return best?.family;
}

/** What a Go template shows about the texts that a model writes: tags of thinking and of tool calls. */
import type { Expression, Node, Pipe } from "./gotemplate/tree.ts";
import { cachedTemplate } from "./render-go.ts";
import type { ThinkTags } from "./thinking.ts";

function startsWithField(operand: Expression, name: string): boolean {
  if (operand.kind === "field") return operand.names[0] === name;
  if (operand.kind === "variable") return operand.fields[0] === name;
  if (operand.kind === "chain") return operand.fields[0] === name;
  return false;
}

function mentions(pipe: Pipe, name: string, inside: boolean): boolean {
  return pipe.commands.some(({ operands }) =>
    operands.some(
      (operand) =>
        startsWithField(operand, name) ||
        (inside && operand.kind === "pipe" && mentions(operand.pipe, name, true)),
    ),
  );
}

function textOf(node: Node | undefined): string {
  return node?.kind === "text" ? node.text.trim() : "";
}

/**
 * The tags around `.Thinking` in the loop over messages (template.md 11): the first and last node of
 * the innermost block that prints it. The last such place counts; undefined where a tag is missing.
 */
export function thinkTagsOf(source: string): ThinkTags | undefined {
  let found: ThinkTags | undefined;
  const walk = (nodes: readonly Node[], overMessages: boolean): void => {
    for (const node of nodes) {
      if (node.kind === "action") {
        if (overMessages && mentions(node.pipe, "Thinking", true)) {
          const open = textOf(nodes[0]);
          const close = textOf(nodes.at(-1));
          if (open !== "" && close !== "") found = { open, close };
        }
      } else if (node.kind === "if" || node.kind === "with" || node.kind === "range") {
        const inner = node.kind === "range" ? mentions(node.pipe, "Messages", true) : overMessages;
        walk(node.body, inner);
        walk(node.otherwise, inner);
      }
    }
  };
  walk(cachedTemplate(source).root, false);
  return found;
}

/**
 * What the template writes before tool calls (template.md 12): the first text inside the first `if`
 * about `.ToolCalls`, cut at the first `{`; `{` when there is none.
 */
export function toolTagOf(source: string): string {
  const block = firstCallBlock(cachedTemplate(source).root);
  const text = block === undefined ? undefined : firstText(block);
  const tag = (text ?? "").split("{")[0]?.trim() ?? "";
  return tag === "" ? "{" : tag;
}

function firstCallBlock(nodes: readonly Node[]): readonly Node[] | undefined {
  for (const node of nodes) {
    if (node.kind !== "if" && node.kind !== "with" && node.kind !== "range") continue;
    if (node.kind === "if" && mentions(node.pipe, "ToolCalls", false)) return node.body;
    const inner = firstCallBlock(node.body) ?? firstCallBlock(node.otherwise);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** The first text that is not blank, in the block or the first block inside it; an action ends the search. */
function firstText(nodes: readonly Node[]): string | undefined {
  for (const node of nodes) {
    if (node.kind === "text") {
      if (node.text.trim() !== "") return node.text;
    } else if (node.kind === "if" || node.kind === "with" || node.kind === "range") {
      return firstText(node.body);
    } else return undefined;
  }
  return undefined;
}

/** The tree of a parsed template. */

export interface Place {
  readonly line: number;
  /** Offset in UTF-16 units, for columns in errors. */
  readonly at: number;
  /** Source text of the node, for errors. */
  readonly source: string;
}

export type Expression = Place &
  (
    | { readonly kind: "literal"; readonly value: unknown }
    | { readonly kind: "nil" }
    | { readonly kind: "dot" }
    | { readonly kind: "field"; readonly names: readonly string[] }
    | { readonly kind: "variable"; readonly name: string; readonly fields: readonly string[] }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "pipe"; readonly pipe: Pipe }
    | { readonly kind: "chain"; readonly inner: Expression; readonly fields: readonly string[] }
  );

export interface Command extends Place {
  readonly operands: readonly Expression[];
}

export interface Pipe extends Place {
  readonly declares: readonly string[];
  /** `=` instead of `:=`. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type BranchNode = Place & {
  readonly kind: "if" | "with" | "range";
  readonly pipe: Pipe;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
};

export type TemplateNode = Place & {
  readonly kind: "template";
  readonly name: string;
  readonly pipe: Pipe | undefined;
};

export type Node =
  | (Place & { readonly kind: "text"; readonly text: string })
  | (Place & { readonly kind: "action"; readonly pipe: Pipe })
  | (Place & { readonly kind: "break" | "continue" })
  | BranchNode
  | TemplateNode;

export interface Tree {
  readonly root: readonly Node[];
  /** Named templates, the root among them under the empty name. */
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}

/** Whether a node has branches. */
export function isBranch(node: Node): node is BranchNode {
  return node.kind === "if" || node.kind === "with" || node.kind === "range";
}

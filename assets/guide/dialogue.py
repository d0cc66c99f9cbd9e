"""A conversation and its text: the one place that knows guide's prompt format.

The Jinja template (template.jinja) and the Go template (template.gotmpl) write the same text; tests
of the project compare all three.
"""

import json

END = "<|im_end|>"


def tool_text(tool, spaced):
    """A tool definition as a template prints it: Jinja's tojson with blanks, Go's without."""
    return json.dumps(tool, ensure_ascii=False, separators=(", ", ": ") if spaced else (",", ":"))


def call_text(name, arguments):
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"


def head(system, tools, spaced):
    """The system turn; absent when there is neither a system message nor a tool."""
    if not system and not tools:
        return ""
    text = "<|im_start|>system\n" + (system or "")
    if tools:
        text += ("\n" if system else "") + "Tools:\n" + "".join(tool_text(t, spaced) + "\n" for t in tools)
    return text + END + "\n"


def segments(dialogue):
    """Pieces of a conversation: (text, learn). `learn` is true for what the model itself must write, false for
    what others write, None for what the template writes and the model must never begin by itself.

    A dialogue is {"system", "tools", "spaced", "think", "turns"}; a turn is (role, text) or
    (role, text, thought).
    """
    pieces = [(head(dialogue.get("system"), dialogue.get("tools"), dialogue.get("spaced", False)), False)]
    for role, text, *rest in dialogue["turns"]:
        thought = rest[0] if rest else None
        if role == "assistant":
            pieces.append(("<|im_start|>assistant\n", False))
            if dialogue.get("think"):
                pieces.append(("<think>\n", None))
                pieces.append((f"{thought}\n</think>\n\n", True))
            pieces.append((text + END, True))
            pieces.append(("\n", False))
        else:
            pieces.append((f"<|im_start|>{role}\n{text}{END}\n", False))
    return [(text, learn) for text, learn in pieces if text]


def prompt(dialogue):
    """Text up to the assistant's last turn, which is left to the model."""
    text = "".join(piece for piece, _ in segments({**dialogue, "turns": dialogue["turns"][:-1]}))
    return text + "<|im_start|>assistant\n" + ("<think>\n" if dialogue.get("think") else "")

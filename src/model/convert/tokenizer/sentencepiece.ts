/** Vocabularies of `tokenizer.model`: SentencePiece, with the tokens that files beside it add. */
import { ConvertError } from "../../../errors.ts";
import { isObject, type SourceFiles } from "../source.ts";
import { fields } from "./protobuf.ts";
import { tokenTypes, type Vocabulary } from "./vocabulary.ts";

const file = "tokenizer.model";

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

function readPiece(bytes: Uint8Array): Piece {
  let text = "";
  let score = 0;
  let type = tokenTypes.normal;
  for (const field of fields(bytes, file)) {
    if (field.number === 1 && field.wire === 2) text = Buffer.from(field.bytes).toString("utf8");
    else if (field.number === 2 && field.wire === 5) {
      score = Buffer.from(field.bytes).readFloatLE();
    } else if (field.number === 3 && field.wire === 0) type = field.value;
  }
  return { text, score, type };
}

/** @throws ConvertError for a file that is no SentencePiece model */
function readSentencePiece(bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  for (const field of fields(bytes, file)) {
    if (field.number === 1 && field.wire === 2) pieces.push(readPiece(field.bytes));
  }
  if (pieces.length === 0) throw new ConvertError(`parse ${file}: no pieces`);
  return pieces;
}

/** Texts of `special_tokens_map.json` beyond the well-known ones. */
function additionalSpecials(files: SourceFiles): Set<string> {
  const map = files.optional("special_tokens_map.json") ?? {};
  const listed = map.additional_special_tokens;
  const texts = Array.isArray(listed) ? listed : [];
  return new Set(texts.map((item) => (isObject(item) ? String(item.content) : String(item))));
}

/** Turn and function marks of Gemma, which its vocabulary declares as ordinary user tokens. */
const gemmaControls = new Set([
  "<end_of_turn>",
  "<start_of_turn>",
  "<start_function_declaration>",
  "<end_function_declaration>",
  "<start_function_call>",
  "<end_function_call>",
  "<start_function_response>",
  "<end_function_response>",
  "<escape>",
]);

/** @throws ConvertError when added tokens leave gaps */
export function sentencePieceVocabulary(files: SourceFiles): Vocabulary {
  const pieces = readSentencePiece(files.bytes(file));
  const controls = additionalSpecials(files);
  const tokens: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  for (const { text, score, type } of pieces) {
    tokens.push(text);
    scores.push(score);
    types.push(controls.has(text) || gemmaControls.has(text) ? tokenTypes.control : type);
  }
  const added = files.optional("added_tokens.json") ?? {};
  const sorted = Object.entries(added).sort(([, a], [, b]) => Number(a) - Number(b));
  for (const [text, id] of sorted) {
    if (Number(id) < tokens.length) {
      if (tokens[Number(id)] === text) continue;
      throw new ConvertError(`added_tokens.json: id ${id} of "${text}" is taken`);
    }
    if (id !== tokens.length) {
      throw new ConvertError(`added_tokens.json: id ${id} of "${text}" leaves a gap`);
    }
    tokens.push(text);
    scores.push(-1000);
    types.push(controls.has(text) ? tokenTypes.control : tokenTypes.userDefined);
  }
  return { model: "llama", pre: "default", tokens, scores, types, added: addedByName(files) };
}

/** Ids that a `tokenizer.json` beside the model gives its added tokens. */
function addedByName(files: SourceFiles): Map<string, number> {
  const listed = files.optional("tokenizer.json")?.added_tokens;
  const entries = (Array.isArray(listed) ? listed : []).filter(isObject);
  return new Map(entries.map(({ content, id }) => [String(content), Number(id)]));
}

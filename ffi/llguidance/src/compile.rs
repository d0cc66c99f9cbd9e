//! What a client asks for, compiled: a grammar to clone per request, and the validator beside it.

use anyhow::{anyhow, bail, Result};
use jsonschema::Validator;
use llguidance::{
    api::{GrammarWithLexer, TopLevelGrammar},
    Matcher, ParserFactory,
};
use serde_json::{json, Value};
use toktrie::SimpleVob;

use crate::schema::{self, Reason};

/// How far a constraint can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only valid texts can come out.
    Enforced,
    /// A wider grammar constrains, the finished text is validated.
    Validated,
    Refused,
}

pub struct Compiled {
    pub level: Level,
    /// Why the level is not `Enforced`.
    pub reason: Option<Reason>,
    /// Fresh; cloned for each request. None when refused.
    pub matcher: Option<Matcher>,
    /// None for constraints that are no JSON schema.
    pub validator: Option<Validator>,
}

impl Compiled {
    fn refused(reason: Reason) -> Self {
        Compiled { level: Level::Refused, reason: Some(reason), matcher: None, validator: None }
    }

    pub fn to_json(&self) -> Value {
        let level = match self.level {
            Level::Enforced => "enforced",
            Level::Validated => "validated",
            Level::Refused => "refused",
        };
        match &self.reason {
            None => json!({ "level": level }),
            Some(reason) => json!({ "level": level, "reason": reason.to_json() }),
        }
    }
}

/// Compiles a constraint of a kind: `schema`, `lark`, `regex`, or `choice` (JSON list of texts); `answer`
/// is a schema too, for writing and not for judging: objects get only the members that it names.
pub fn compile(factory: &ParserFactory, kind: &str, text: &str) -> Compiled {
    let plain = |result: Result<TopLevelGrammar>| match result.and_then(|g| build(factory, g)) {
        Ok(matcher) => {
            let matcher = Some(matcher);
            Compiled { level: Level::Enforced, reason: None, matcher, validator: None }
        }
        Err(error) => Compiled::refused(without_place(&error)),
    };
    match kind {
        "schema" => compile_schema(factory, text, false),
        "answer" => match compile_schema(factory, text, true) {
            // Closed, some parts of a schema can exclude each other.
            Compiled { level: Level::Refused, .. } => compile_schema(factory, text, false),
            compiled => compiled,
        },
        "lark" => plain(Ok(TopLevelGrammar::from_lark(text.to_string()))),
        "regex" => plain(Ok(TopLevelGrammar::from_regex(text))),
        "choice" => plain(choice(text)),
        _ => Compiled::refused(without_place(&anyhow!("unknown kind of constraint: {kind}"))),
    }
}

fn compile_schema(factory: &ParserFactory, text: &str, closed: bool) -> Compiled {
    let schema = match schema::parse(text) {
        Ok(schema) => schema,
        Err(error) => return Compiled::refused(without_place(&error)),
    };
    // A schema that cannot be validated cannot be promised, whatever the engine makes of it.
    let (schema, validator) = match schema::settle(schema) {
        Ok(settled) => settled,
        Err(reason) => return Compiled::refused(reason),
    };
    if let Some(reason) = schema::inexact_number(&schema) {
        return Compiled::refused(reason);
    }
    let written = if closed { schema::closed(&schema) } else { schema.clone() };
    let emptiness = schema::Emptiness::of(&written);
    if let Some(reason) = emptiness.reason() {
        return Compiled::refused(reason);
    }
    let written = emptiness.pruned();
    let grammar = |part: &Value, lenient| {
        let json = schema::for_engine(part, lenient);
        build(factory, TopLevelGrammar::from_grammar(GrammarWithLexer::from_json_schema(json)))
    };
    let strict = match grammar(&written, false) {
        Ok(matcher) => {
            let reason = schema::wider_grammar(&schema);
            let level = if reason.is_none() { Level::Enforced } else { Level::Validated };
            return Compiled {
                level,
                reason,
                matcher: Some(matcher),
                validator: Some(validator),
            }
        }
        Err(error) => error,
    };
    match grammar(&written, true) {
        Ok(matcher) => Compiled {
            level: Level::Validated,
            reason: Some(schema::locate(&schema, "", &strict)),
            matcher: Some(matcher),
            validator: Some(validator),
        },
        Err(error) => {
            let (within, error) = innermost(&written, error, &|part| grammar(part, true));
            Compiled::refused(schema::locate(&schema, &within, &error))
        }
    }
}

/// The smallest part of a schema that is refused for the same reason: of what cannot be satisfied the
/// engine names only the outermost.
fn innermost(
    root: &Value,
    mut error: anyhow::Error,
    grammar: &dyn Fn(&Value) -> Result<Matcher>,
) -> (String, anyhow::Error) {
    let mut pointer = String::new();
    while unsatisfiable(&error) {
        let Some(Value::Object(members)) = root.pointer(&pointer) else { break };
        let inner = schema::needed(members).into_iter().find_map(|place| {
            let within = format!("{pointer}{place}");
            let mut part = json!({ "allOf": [root.pointer(&within)?] });
            for definitions in ["$schema", "$defs", "definitions"] {
                if let Some(value) = root.get(definitions) {
                    part[definitions] = value.clone();
                }
            }
            grammar(&part).err().filter(unsatisfiable).map(|error| (within, error))
        });
        let Some(found) = inner else { break };
        (pointer, error) = found;
    }
    (pointer, error)
}

fn unsatisfiable(error: &anyhow::Error) -> bool {
    error.to_string().starts_with("Unsatisfiable schema")
}

fn build(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher> {
    let matcher = Matcher::new(factory.create_parser(grammar));
    if let Some(error) = matcher.get_error() {
        bail!(error);
    }
    // What has no first token would only fail later.
    match next_tokens(&mut matcher.clone())? {
        Some(_) => Ok(matcher),
        None => bail!("no text can satisfy it"),
    }
}

/// Tokens that may come next; None when the text can neither go on nor end.
pub fn next_tokens(matcher: &mut Matcher) -> Result<Option<SimpleVob>> {
    match matcher.compute_mask_or_eos() {
        Ok(mask) => Ok((!mask.is_zero()).then_some(mask)),
        // llguidance 1.9 says it in its message only: the reason's name comes first.
        Err(error) if error.to_string().starts_with("NoExtensionBias") => Ok(None),
        Err(error) => Err(error),
    }
}

/// One of several texts, literally.
fn choice(list: &str) -> Result<TopLevelGrammar> {
    let texts: Vec<String> =
        serde_json::from_str(list).map_err(|error| anyhow!("choice is a list of texts: {error}"))?;
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        bail!("choice needs at least one text, none of them empty");
    }
    let quoted: Vec<String> = texts.iter().map(|text| json!(text).to_string()).collect();
    Ok(TopLevelGrammar::from_lark(format!("start: {}\n", quoted.join(" | "))))
}

fn without_place(error: &anyhow::Error) -> Reason {
    let text = schema::short(&format!("{error:#}"));
    Reason { pointer: None, keyword: String::new(), text }
}

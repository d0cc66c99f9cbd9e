//! What a client asks for, compiled: a grammar to clone per request, and the validator beside it.

use anyhow::{anyhow, bail, Result};
use jsonschema::Validator;
use llguidance::{
    api::{GrammarWithLexer, TopLevelGrammar},
    Matcher, ParserFactory,
};
use serde_json::{json, Value};

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
    let grammar = |lenient| {
        let json = schema::for_engine(&written, lenient);
        build(factory, TopLevelGrammar::from_grammar(GrammarWithLexer::from_json_schema(json)))
    };
    let strict = match grammar(false) {
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
    let reason = schema::locate(&schema, &strict);
    match grammar(true) {
        Ok(matcher) => Compiled {
            level: Level::Validated,
            reason: Some(reason),
            matcher: Some(matcher),
            validator: Some(validator),
        },
        Err(error) => Compiled::refused(schema::locate(&schema, &error)),
    }
}

fn build(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher> {
    let matcher = Matcher::new(factory.create_parser(grammar));
    match matcher.get_error() {
        None => Ok(matcher),
        Some(error) => bail!(error),
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
    Reason { pointer: String::new(), keyword: String::new(), text }
}

//! JSON schemas: which draft they are of, and whether a finished text fits. Beside it: places in a schema
//! (`walk`), what the engine gets of it (`written`), where that is not exact (`exact`), what no text can
//! satisfy (`empty`).

mod content;
mod empty;
mod exact;
mod walk;
mod written;

use anyhow::{anyhow, Result};
use jsonschema::{PatternOptions, Validator};
use serde_json::{json, Value};

use content::content;
use walk::{find, last_segment};

pub use empty::Emptiness;
pub use exact::{inexact_number, wider_grammar};
pub use walk::{locate, needed};
pub use written::{closed, for_engine};

/// Why a schema or a text was not taken.
#[derive(Debug)]
pub struct Reason {
    /// JSON pointer, into the schema (refusals) or into the text (validation), "" the whole; None where
    /// no place can be told.
    pub pointer: Option<String>,
    /// Empty where it is no keyword's.
    pub keyword: String,
    pub text: String,
}

impl Reason {
    pub fn to_json(&self) -> Value {
        let mut members = json!({ "keyword": self.keyword, "reason": self.text });
        if let Some(pointer) = &self.pointer {
            members["pointer"] = json!(pointer);
        }
        members
    }
}

const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";

/// The schema with its draft settled, and its validator. Without "$schema" it is read as 2020-12, or
/// as draft 7 when it is no schema of 2020-12 (`items` as a list, `$id` as an anchor).
pub fn settle(mut schema: Value) -> std::result::Result<(Value, Validator), Reason> {
    if schema.get("$schema").is_some() || !schema.is_object() {
        let validator = validator(&schema, false)?;
        return Ok((schema, validator));
    }
    if let Some(reason) = ambiguous(&schema) {
        return Err(reason);
    }
    validator(&schema, true).map(|validator| (schema.clone(), validator)).or_else(|reason| {
        if let Value::Object(members) = &mut schema {
            members.insert("$schema".into(), DRAFT_7.into());
        }
        let validator = validator(&schema, false).map_err(|_| reason)?;
        Ok((schema, validator))
    })
}

/// `$id` beside `$ref` moves what the reference means in one draft and not in the other.
fn ambiguous(schema: &Value) -> Option<Reason> {
    find(schema, &mut String::new(), &|members, pointer| {
        let both = members.contains_key("$ref") && members.contains_key("$id");
        both.then(|| format!("{pointer}/$id"))
    })
    .map(|pointer| Reason {
        pointer: Some(pointer),
        keyword: "$id".into(),
        text: "its meaning beside $ref depends on the draft: name the draft in $schema".into(),
    })
}

/// A validator for the whole schema. Patterns run on a linear-time engine, nothing is fetched.
fn validator(schema: &Value, check_content: bool) -> std::result::Result<Validator, Reason> {
    let mut options = jsonschema::options();
    if check_content {
        options = options
            .with_keyword("contentEncoding", content)
            .with_keyword("contentMediaType", content);
    }
    options
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(4 << 20).dfa_size_limit(8 << 20))
        .build(schema)
        .map_err(|error| Reason {
            pointer: Some(error.instance_path().to_string()),
            keyword: last_segment(&error.instance_path().to_string()),
            text: short(&error.masked().to_string()),
        })
}

/// The first rule that a text breaks. Errors of `anyOf` and the like name the branch's keyword only
/// as far as the schema path goes.
pub fn check(validator: &Validator, text: &str) -> std::result::Result<(), Reason> {
    let instance: Value = serde_json::from_str(text).map_err(|error| Reason {
        pointer: None,
        keyword: String::new(),
        text: format!("not JSON: {error}"),
    })?;
    validator.validate(&instance).map_err(|error| Reason {
        pointer: Some(error.instance_path().to_string()),
        keyword: error.kind().keyword().to_string(),
        text: short(&error.to_string()),
    })
}

/// One line, at most 300 characters.
pub fn short(text: &str) -> String {
    let line = text.split("\n<backtrace>").next().unwrap_or("").replace('\n', " ");
    match line.char_indices().nth(300) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

/// Parses a schema text: an object or a boolean. Key order and numbers stay as written.
pub fn parse(text: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(text).map_err(|error| anyhow!("not JSON: {error}"))?;
    match value {
        Value::Object(_) | Value::Bool(_) => Ok(value),
        _ => Err(anyhow!("a schema is an object or a boolean")),
    }
}

//! JSON schemas: the grammar for generation, the validator for the finished text, and where in the
//! schema a refusal comes from.

use std::fmt::Write;

use anyhow::{anyhow, Result};
use data_encoding::BASE64;
use jsonschema::{paths::Location, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{json, Map, Value};

/// Keywords whose value is one schema.
const SINGLE: [&str; 15] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "extends",
    "disallow",
    "$recursiveRef",
];
/// Keywords whose value is a list of schemas.
const LISTS: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords whose value holds schemas by name.
const NAMED: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Why a schema or a text was not taken.
#[derive(Debug)]
pub struct Reason {
    /// JSON pointer, into the schema (refusals) or into the text (validation).
    pub pointer: String,
    pub keyword: String,
    pub text: String,
}

impl Reason {
    pub fn to_json(&self) -> Value {
        json!({ "pointer": self.pointer, "keyword": self.keyword, "reason": self.text })
    }
}

/// Between JSON tokens one blank, or one or two line breaks and an indentation, may stand: what people
/// and models write, but no endless run of blanks. llama.cpp's grammars allow the same.
const WHITESPACE: &str = r"( |(\r?\n){1,2}[ \t]{0,20})";

/// The schema as llguidance wants it. Its own "x-guidance" extension could switch strictness off, so
/// what a client wrote there is taken out.
pub fn for_engine(schema: &Value, lenient: bool) -> Value {
    let mut object = match schema {
        Value::Object(members) => members.clone(),
        other => {
            let mut members = Map::new();
            members.insert("allOf".into(), json!([other]));
            members
        }
    };
    object.insert(
        "x-guidance".into(),
        json!({ "lenient": lenient, "whitespace_flexible": true, "whitespace_pattern": WHITESPACE }),
    );
    Value::Object(object)
}

/// Keywords that say something about further members, or that other parts of the schema add members by.
const OPENS: [&str; 14] = [
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "dependencies",
    "dependentSchemas",
    "$ref",
    "$dynamicRef",
];

/// Whether one object is described in several places: closing one of them would shut out the others.
fn composes(schema: &Value) -> bool {
    find(schema, &mut String::new(), &|members, pointer| {
        let several = members.get("allOf").and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        let own = ["properties", "required"].iter().any(|keyword| members.contains_key(*keyword));
        let applies = ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "dependencies"];
        let other = applies.iter().any(|keyword| members.contains_key(*keyword));
        (several || (own && other)).then(|| pointer.to_string())
    })
    .is_some()
}

/// The schema for writing an answer: an object whose schema names its members gets no others, as long as
/// nothing says that it may have. What can be written is a part of what is valid.
pub fn closed(schema: &Value) -> Value {
    if composes(schema) {
        schema.clone()
    } else {
        close(schema)
    }
}

fn close(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut result = members.clone();
    for (key, value) in &mut result {
        *value = match (key.as_str(), &*value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                Value::Object(named.iter().map(|(name, one)| (name.clone(), close(one))).collect())
            }
            ("prefixItems" | "items" | "allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                Value::Array(list.iter().map(close).collect())
            }
            ("items" | "additionalProperties", Value::Object(_)) => close(value),
            _ => continue,
        };
    }
    let named = members.get("properties").and_then(Value::as_object);
    let required = members.get("required").and_then(Value::as_array);
    let all_named = |named: &Map<String, Value>| {
        required.is_none_or(|list| list.iter().all(|name| name.as_str().is_some_and(|n| named.contains_key(n))))
    };
    if named.is_some_and(all_named) && !OPENS.iter().any(|keyword| members.contains_key(*keyword)) {
        result.insert("additionalProperties".into(), Value::Bool(false));
    }
    Value::Object(result)
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
        pointer,
        keyword: "$id".into(),
        text: "its meaning beside $ref depends on the draft: name the draft in $schema".into(),
    })
}

/// Where the engine's grammar takes more texts than the schema does, although it compiles strictly:
/// calendar days, leap seconds, Punycode, contents of strings, `\S` and the byte order mark.
pub fn wider_grammar(schema: &Value) -> Option<Reason> {
    let mut reason = None;
    for keyword in ["format", "contentEncoding", "contentMediaType", "pattern"] {
        let found = find(schema, &mut String::new(), &|members, pointer| {
            let value = members.get(keyword)?.as_str()?;
            let wide = match keyword {
                "format" => ["date", "date-time", "time", "hostname"].contains(&value),
                "pattern" => wide_pattern(value),
                _ => true,
            };
            wide.then(|| format!("{pointer}/{keyword}"))
        });
        if let (Some(pointer), None) = (found, &reason) {
            let text = "the grammar for it is wider than the rule".to_string();
            reason = Some(Reason { pointer, keyword: keyword.into(), text });
        }
    }
    reason.or_else(|| {
        find(schema, &mut String::new(), &|members, pointer| {
            let (pattern, _) = members
                .get("patternProperties")?
                .as_object()?
                .iter()
                .find(|(pattern, _)| wide_pattern(pattern))?;
            Some(format!("{pointer}/patternProperties/{}", escape(pattern)))
        })
        .map(|pointer| Reason {
            pointer,
            keyword: "patternProperties".into(),
            text: "the grammar for it is wider than the rule".into(),
        })
    })
}

/// A number that the engine, which counts in doubles, would turn into another.
pub fn inexact_number(schema: &Value) -> Option<Reason> {
    let mut keyword = "";
    const BOUNDS: [&str; 7] =
        ["const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    let mut pointer = None;
    for name in BOUNDS {
        pointer = find(schema, &mut String::new(), &|members, pointer| {
            (!exact(members.get(name)?)).then(|| format!("{pointer}/{name}"))
        });
        if pointer.is_some() {
            keyword = name;
            break;
        }
    }
    let text = "a number here has more digits than the engine counts with".to_string();
    pointer.map(|pointer| Reason { pointer, keyword: keyword.into(), text })
}

/// Whether all numbers in a value are the same after a double held them.
fn exact(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(exact),
        Value::Object(members) => members.values().all(exact),
        Value::Number(number) => {
            let text = number.to_string();
            let digits = significant(&text);
            digits.len() <= 15
                || number.as_f64().is_some_and(|double| significant(&double.to_string()) == digits)
        }
        _ => true,
    }
}

/// Digits of a number without sign, point, exponent and zeros at either end.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or("");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_string()
}

fn wide_pattern(pattern: &str) -> bool {
    pattern.contains("\\S") || (pattern.contains("[^") && pattern.contains("\\s"))
}

/// `contentEncoding` and `contentMediaType` as assertions, for schemas that name no draft: draft 7
/// allows them, later ones do not forbid it.
struct Content {
    base64: bool,
    json: bool,
}

impl<'i> Keyword<'i> for Content {
    fn validate(&self, instance: &'i Value) -> std::result::Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            Ok(())
        } else {
            Err(ValidationError::custom("the string does not hold what it should"))
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Value::String(text) = instance else { return true };
        let bytes = match self.base64 {
            true => match BASE64.decode(text.as_bytes()) {
                Ok(bytes) => bytes,
                Err(_) => return false,
            },
            false => text.as_bytes().to_vec(),
        };
        !self.json || serde_json::from_slice::<Value>(&bytes).is_ok()
    }
}

fn content<'a>(
    parent: &'a Map<String, Value>,
    _value: &'a Value,
    _path: Location,
) -> std::result::Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let is = |keyword: &str, value: &str| parent.get(keyword).and_then(Value::as_str) == Some(value);
    Ok(Box::new(Content {
        base64: is("contentEncoding", "base64"),
        json: is("contentMediaType", "application/json"),
    }))
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
            pointer: error.instance_path().to_string(),
            keyword: last_segment(&error.instance_path().to_string()),
            text: short(&error.masked().to_string()),
        })
}

/// The first rule that a text breaks. Errors of `anyOf` and the like name the branch's keyword only
/// as far as the schema path goes.
pub fn check(validator: &Validator, text: &str) -> std::result::Result<(), Reason> {
    let instance: Value = serde_json::from_str(text).map_err(|error| Reason {
        pointer: String::new(),
        keyword: String::new(),
        text: format!("not JSON: {error}"),
    })?;
    validator.validate(&instance).map_err(|error| Reason {
        pointer: error.instance_path().to_string(),
        keyword: error.kind().keyword().to_string(),
        text: short(&error.to_string()),
    })
}

/// Where in the schema a refusal of the engine comes from: the first place where a keyword that its
/// message names stands as a keyword.
pub fn locate(schema: &Value, error: &anyhow::Error) -> Reason {
    let text = short(&format!("{error:#}"));
    for keyword in named_keywords(&text) {
        let found = find(schema, &mut String::new(), &|members, pointer| {
            let value = members.get(&keyword)?;
            let quoted = match value {
                Value::String(word) if keyword == "format" => text.contains(word.as_str()),
                _ => true,
            };
            quoted.then(|| format!("{pointer}/{}", escape(&keyword)))
        });
        if let Some(pointer) = found {
            return Reason { pointer, keyword, text };
        }
    }
    Reason { pointer: String::new(), keyword: String::new(), text }
}

/// Keywords in a message, those it quotes first.
fn named_keywords(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect();
    if text.contains("min/maxProperties") {
        names.extend(["minProperties".to_string(), "maxProperties".to_string()]);
    }
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '$') {
        if word.len() > 2 {
            names.push(word.to_string());
        }
    }
    names
}

/// Visits every subschema in the order of the text until `visit` answers.
fn find(
    schema: &Value,
    pointer: &mut String,
    visit: &dyn Fn(&Map<String, Value>, &str) -> Option<String>,
) -> Option<String> {
    let members = schema.as_object()?;
    if let Some(found) = visit(members, pointer) {
        return Some(found);
    }
    for (key, value) in members {
        let length = pointer.len();
        let _ = write!(pointer, "/{}", escape(key));
        let found = match value {
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                within(named.iter().map(|(name, one)| (escape(name), one)), pointer, visit)
            }
            Value::Object(_) if SINGLE.contains(&key.as_str()) => find(value, pointer, visit),
            Value::Array(list) if LISTS.contains(&key.as_str()) => {
                within(list.iter().enumerate().map(|(i, one)| (i.to_string(), one)), pointer, visit)
            }
            _ => None,
        };
        pointer.truncate(length);
        if found.is_some() {
            return found;
        }
    }
    None
}

fn within<'a>(
    parts: impl Iterator<Item = (String, &'a Value)>,
    pointer: &mut String,
    visit: &dyn Fn(&Map<String, Value>, &str) -> Option<String>,
) -> Option<String> {
    for (name, one) in parts {
        let length = pointer.len();
        let _ = write!(pointer, "/{name}");
        let found = find(one, pointer, visit);
        pointer.truncate(length);
        if found.is_some() {
            return found;
        }
    }
    None
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn last_segment(pointer: &str) -> String {
    pointer.rsplit('/').next().unwrap_or("").to_string()
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

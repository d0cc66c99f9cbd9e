//! Places in a schema: its subschemas in the order of the text, and where a refusal comes from.

use serde_json::{Map, Value};

use super::{short, Reason};

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

/// The schemas right inside one, each with its place in it, in the order of the text.
pub fn subschemas(members: &Map<String, Value>) -> Vec<(String, &Value)> {
    let is_schema = |value: &Value| value.is_object() || value.is_boolean();
    let mut found = vec![];
    for (key, value) in members {
        match value {
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                found.extend(named.iter().map(|(name, one)| (format!("/{key}/{}", escape(name)), one)));
            }
            Value::Array(list) if LISTS.contains(&key.as_str()) => {
                found.extend(list.iter().enumerate().map(|(i, one)| (format!("/{key}/{i}"), one)));
            }
            _ if SINGLE.contains(&key.as_str()) => found.push((format!("/{key}"), value)),
            _ => {}
        }
    }
    found.retain(|(_, value)| is_schema(value));
    found
}

/// Places of the schemas that a schema cannot be satisfied without, as far as its form shows it.
pub fn needed(members: &Map<String, Value>) -> Vec<String> {
    let count = |keyword| members.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
    let mut places: Vec<String> = (0..count("allOf")).map(|i| format!("/allOf/{i}")).collect();
    match members.get("type").and_then(Value::as_str) {
        Some("object") => {
            let required = members.get("required").and_then(Value::as_array).into_iter().flatten();
            let named = members.get("properties").and_then(Value::as_object);
            for name in required.filter_map(Value::as_str) {
                if named.is_some_and(|named| named.contains_key(name)) {
                    places.push(format!("/properties/{}", escape(name)));
                } else if !members.contains_key("patternProperties") {
                    places.push("/additionalProperties".to_string());
                }
            }
        }
        Some("array") => {
            let least = members.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
            let (list, rest) = match members.get("items") {
                Some(Value::Array(_)) => ("items", "additionalItems"),
                _ => ("prefixItems", "items"),
            };
            places.extend((0..least.min(count(list))).map(|i| format!("/{list}/{i}")));
            if least > count(list) {
                places.push(format!("/{rest}"));
            }
        }
        _ => {}
    }
    places
}

/// Visits every schema that has keywords, in the order of the text, until `visit` answers.
pub fn find(
    schema: &Value,
    pointer: &mut String,
    visit: &dyn Fn(&Map<String, Value>, &str) -> Option<String>,
) -> Option<String> {
    let members = schema.as_object()?;
    visit(members, pointer).or_else(|| {
        subschemas(members).into_iter().find_map(|(place, one)| {
            let length = pointer.len();
            pointer.push_str(&place);
            let found = find(one, pointer, visit);
            pointer.truncate(length);
            found
        })
    })
}

pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

pub fn last_segment(pointer: &str) -> String {
    pointer.rsplit('/').next().unwrap_or("").to_string()
}

/// Words of the engine's messages that stand for keywords.
const WORDS: [(&str, &[&str]); 6] = [
    ("min/maxProperties", &["minProperties", "maxProperties"]),
    ("a multiple of", &["multipleOf"]),
    ("integer interval", &["exclusiveMinimum", "minimum"]),
    ("incompatible types", &["const", "enum", "allOf", "type"]),
    ("Regex is empty", &["pattern", "format"]),
    ("anyOf is empty", &["enum", "anyOf"]),
];

/// Where in a schema, or the part of it at `within`, a refusal of the engine comes from: the first place
/// where a keyword that its message names stands as a keyword.
pub fn locate(schema: &Value, within: &str, error: &anyhow::Error) -> Reason {
    let text = short(&format!("{error:#}"));
    let part = schema.pointer(within).unwrap_or(schema);
    for keyword in named_keywords(&text) {
        let found = find(part, &mut within.to_string(), &|members, pointer| {
            let value = members.get(&keyword)?;
            let quoted = match value {
                Value::String(word) if keyword == "format" => text.contains(word.as_str()),
                _ => true,
            };
            quoted.then(|| format!("{pointer}/{}", escape(&keyword)))
        });
        if let Some(pointer) = found {
            return Reason { pointer: Some(pointer), keyword, text };
        }
    }
    Reason { pointer: Some(within.to_string()), keyword: String::new(), text }
}

/// Keywords in a message, those it quotes first.
fn named_keywords(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect();
    for (words, keywords) in WORDS {
        if text.contains(words) {
            names.extend(keywords.iter().map(|keyword| keyword.to_string()));
        }
    }
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '$') {
        if word.len() > 2 {
            names.push(word.to_string());
        }
    }
    names
}

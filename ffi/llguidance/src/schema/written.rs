//! The schema as answers are written by it: what the engine gets of it.

use serde_json::{json, Map, Value};

use super::walk::find;

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

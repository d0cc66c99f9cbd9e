//! Where the engine's grammar is not exactly the schema, although it compiles strictly.

use serde_json::Value;

use super::walk::{escape, find};
use super::Reason;

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
            reason = Some(Reason { pointer: Some(pointer), keyword: keyword.into(), text });
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
            pointer: Some(pointer),
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
    pointer.map(|pointer| Reason { pointer: Some(pointer), keyword: keyword.into(), text })
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

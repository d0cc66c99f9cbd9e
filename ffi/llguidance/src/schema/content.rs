//! The keywords about what a string holds.

use data_encoding::BASE64;
use jsonschema::{paths::Location, Keyword, ValidationError};
use serde_json::{Map, Value};

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

pub fn content<'a>(
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

//! What no text can satisfy as far as the form of a schema shows it: `false`, references that only lead
//! back to themselves, and whatever needs one of these. The engine would begin such a text and never come
//! to its end. What it finds empty is empty; bounds that cross and the like are left to the engine.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::walk::{needed, subschemas};
use super::Reason;

struct Place<'a> {
    pointer: String,
    schema: &'a Value,
    /// Until something shows that it is not.
    empty: bool,
    /// Places to look at again when this one turns out not to be empty.
    waiting: Vec<usize>,
}

/// Why a place is empty.
struct Cause {
    /// Empty where the place that is needed tells.
    keyword: &'static str,
    /// What it waits for; nothing for `false`.
    needs: Vec<usize>,
}

/// Which of the schemas in a schema are empty.
pub struct Emptiness<'a> {
    root: &'a Value,
    places: Vec<Place<'a>>,
    by_pointer: HashMap<String, usize>,
    /// Places that a reference names.
    targets: Vec<String>,
}

impl<'a> Emptiness<'a> {
    pub fn of(root: &'a Value) -> Self {
        let mut found = Emptiness { root, places: vec![], by_pointer: HashMap::new(), targets: vec![] };
        found.collect(String::new(), root);
        found.settle();
        found
    }

    /// Why nothing satisfies the whole schema; None when something may.
    pub fn reason(&self) -> Option<Reason> {
        let mut at = 0;
        let mut seen = vec![0];
        loop {
            let Cause { keyword, needs } = self.cause(at)?;
            let text = match needs[..] {
                [] => "no text can satisfy it",
                [next] if !seen.contains(&next) => {
                    seen.push(next);
                    at = next;
                    continue;
                }
                [_] => "no text can satisfy it: it leads back to itself, without an end",
                _ => "no text can satisfy any of its schemas",
            };
            let Place { pointer, schema, .. } = &self.places[at];
            let place = if schema.is_boolean() { String::new() } else { format!("/{keyword}") };
            return Some(Reason {
                pointer: Some(format!("{pointer}{place}")),
                keyword: keyword.into(),
                text: text.into(),
            });
        }
    }

    /// The schema with `false` in place of what is empty, which the engine knows how to leave out.
    pub fn pruned(&self) -> Value {
        let mut schema = self.root.clone();
        for Place { pointer, empty, .. } in &self.places {
            let inside = format!("{pointer}/");
            if !empty || self.targets.iter().any(|target| target.starts_with(&inside)) {
                continue;
            }
            // Where something around it was empty it is gone already.
            if let Some(place) = schema.pointer_mut(pointer) {
                *place = Value::Bool(false);
            }
        }
        schema
    }

    /// Every schema that can be reached, those that only references reach included.
    fn collect(&mut self, pointer: String, schema: &'a Value) {
        let mut open = vec![(pointer, schema)];
        while let Some((pointer, schema)) = open.pop() {
            if self.by_pointer.contains_key(&pointer) {
                continue;
            }
            self.by_pointer.insert(pointer.clone(), self.places.len());
            if let Value::Object(members) = schema {
                open.extend(subschemas(members).into_iter().map(|(place, one)| (format!("{pointer}{place}"), one)));
                if let Some(target) = reference(members) {
                    if let Some(schema) = self.root.pointer(&target) {
                        self.targets.push(target.clone());
                        open.push((target, schema));
                    }
                }
            }
            self.places.push(Place { pointer, schema, empty: true, waiting: vec![] });
        }
    }

    fn settle(&mut self) {
        let mut open: Vec<usize> = (0..self.places.len()).collect();
        while let Some(at) = open.pop() {
            if !self.places[at].empty {
                continue;
            }
            match self.cause(at) {
                Some(Cause { needs, .. }) => {
                    for next in needs {
                        self.places[next].waiting.push(at);
                    }
                }
                None => {
                    self.places[at].empty = false;
                    open.append(&mut self.places[at].waiting);
                }
            }
        }
    }

    fn empty_at(&self, pointer: &str) -> Option<usize> {
        self.by_pointer.get(pointer).copied().filter(|&at| self.places[at].empty)
    }

    /// Why a place is still empty; None when it is not.
    fn cause(&self, at: usize) -> Option<Cause> {
        let Place { pointer, schema, .. } = &self.places[at];
        let Value::Object(members) = schema else {
            return (**schema == Value::Bool(false)).then(|| Cause { keyword: "false", needs: vec![] });
        };
        let target = reference(members).and_then(|target| self.empty_at(&target));
        if let Some(next) = target {
            return Some(Cause { keyword: "$ref", needs: vec![next] });
        }
        let needed = needed(members).into_iter().find_map(|place| self.empty_at(&format!("{pointer}{place}")));
        if let Some(next) = needed {
            return Some(Cause { keyword: "", needs: vec![next] });
        }
        ["anyOf", "oneOf"].into_iter().find_map(|keyword| {
            let count = members.get(keyword)?.as_array()?.len();
            let needs: Option<Vec<usize>> =
                (0..count).map(|i| self.empty_at(&format!("{pointer}/{keyword}/{i}"))).collect();
            needs.filter(|needs| !needs.is_empty()).map(|needs| Cause { keyword, needs })
        })
    }
}

/// The place that a reference of this schema names, where it is a pointer into the same text. Inside of a
/// part with an `$id` of its own the engine decides.
fn reference(members: &Map<String, Value>) -> Option<String> {
    let fragment = members.get("$ref")?.as_str()?.strip_prefix('#')?;
    let plain = (fragment.is_empty() || fragment.starts_with('/')) && !fragment.contains('%');
    plain.then(|| fragment.to_string())
}

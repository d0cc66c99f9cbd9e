//! What the engine promises: levels, places of refusals, and texts that fit or do not.

use hutch_llguidance::{check, compile, factory, Compiled, Level};

/// One token a byte, and one that ends.
fn compiled(kind: &str, text: &str) -> Compiled {
    let mut pieces: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    pieces.push(vec![]);
    let factory = factory(&pieces, &[256], None, std::ptr::null()).unwrap();
    compile(&factory, kind, text)
}

fn accepts(compiled: &Compiled, text: &str) -> bool {
    let mut matcher = compiled.matcher.clone().unwrap();
    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
    matcher.try_consume_tokens(&tokens).unwrap() == tokens.len() && matcher.is_accepting().unwrap()
}

fn reason(compiled: &Compiled) -> (&str, &str) {
    let reason = compiled.reason.as_ref().unwrap();
    (&reason.pointer, &reason.keyword)
}

#[test]
fn a_strict_schema_is_enforced_in_the_order_of_its_text() {
    let order = compiled(
        "schema",
        r#"{"type":"object","properties":{"10":{"const":1},"2":{"const":2}},"required":["10","2"],"additionalProperties":false}"#,
    );
    assert_eq!(order.level, Level::Enforced);
    assert!(accepts(&order, r#"{"10":1,"2":2}"#));
    assert!(accepts(&order, "{\n  \"10\": 1,\n  \"2\": 2\n}"));
    assert!(!accepts(&order, r#"{"2":2,"10":1}"#));
}

#[test]
fn an_answer_has_only_the_members_that_its_schema_names() {
    let text = r#"{"type":"object","properties":{"a":{"properties":{"b":{}}}},"required":["a"]}"#;
    let (answer, judge) = (compiled("answer", text), compiled("schema", text));
    assert_eq!((answer.level, judge.level), (Level::Enforced, Level::Enforced));
    for more in [r#"{"a":{},"c":1}"#, r#"{"a":{"c":1}}"#] {
        assert!(!accepts(&answer, more) && accepts(&judge, more), "{more}");
    }
    assert!(accepts(&answer, r#"{"a":{"b":1}}"#));
}

#[test]
fn an_answer_may_have_what_its_schema_leaves_open() {
    for (schema, text) in [
        (r#"{"type":"object"}"#, r#"{"c":1}"#),
        (r#"{"properties":{"a":{}},"additionalProperties":true}"#, r#"{"c":1}"#),
        (r#"{"properties":{"a":{}},"required":["c"]}"#, r#"{"c":1}"#),
        (r#"{"properties":{"a":{}},"patternProperties":{"^c":{}}}"#, r#"{"c":1}"#),
        (r#"{"allOf":[{"properties":{"a":{}}},{"properties":{"b":{}},"required":["b"]}]}"#, r#"{"b":1}"#),
        (r##"{"$defs":{"A":{"properties":{"a":{}}}},"allOf":[{"$ref":"#/$defs/A"}],"properties":{"b":{}},"required":["b"]}"##, r#"{"b":1}"#),
    ] {
        assert!(accepts(&compiled("answer", schema), text), "{schema}");
    }
}

#[test]
fn blanks_cannot_run_on_for_ever() {
    let object = compiled("schema", r#"{"type":"object"}"#);
    assert!(accepts(&object, "{ }"));
    assert!(!accepts(&object, "{   }"));
    assert!(!accepts(&object, "{\n\n\n}"));
}

#[test]
fn a_number_that_a_double_would_change_is_refused_not_changed() {
    let exact = compiled("schema", r#"{"const":9007199254740992}"#);
    assert!(accepts(&exact, "9007199254740992") && !accepts(&exact, "9007199254740993"));
    assert!(check(exact.validator.as_ref().unwrap(), "9007199254740993").is_err());
    let big = compiled("schema", r#"{"properties":{"id":{"enum":[1,[9007199254740993]]}}}"#);
    assert_eq!(big.level, Level::Refused);
    assert_eq!(reason(&big), ("/properties/id/enum", "enum"));
    assert_eq!(compiled("schema", r#"{"const":0.1}"#).level, Level::Enforced);
    assert_eq!(compiled("schema", r#"{"const":0.30000000000000004}"#).level, Level::Enforced);
}

#[test]
fn what_strict_cannot_do_is_validated_and_the_place_is_named() {
    let not = compiled("schema", r#"{"properties":{"not":{"type":"object","properties":{"a":{"not":{"const":3}}}}}}"#);
    assert_eq!(not.level, Level::Validated);
    assert_eq!(reason(&not), ("/properties/not/properties/a/not", "not"));
    assert!(accepts(&not, r#"{"not":{"a":3}}"#));
    let broken = check(not.validator.as_ref().unwrap(), r#"{"not":{"a":3}}"#).unwrap_err();
    assert_eq!((broken.pointer.as_str(), broken.keyword.as_str()), ("/not/a", "not"));
}

#[test]
fn a_grammar_wider_than_the_rule_is_not_called_enforced() {
    let date = compiled("schema", r#"{"items":{"format":"date"}}"#);
    assert_eq!(date.level, Level::Validated);
    assert_eq!(reason(&date), ("/items/format", "format"));
    assert!(check(date.validator.as_ref().unwrap(), r#"["2024-02-29"]"#).is_ok());
    assert!(check(date.validator.as_ref().unwrap(), r#"["2023-02-29"]"#).is_err());
}

#[test]
fn a_client_cannot_switch_strictness_off() {
    let tricked = compiled("schema", r#"{"x-guidance":{"lenient":true},"not":{"type":"string"}}"#);
    assert_eq!(tricked.level, Level::Validated);
}

#[test]
fn refusals_name_the_place() {
    let wrong = compiled("schema", r#"{"properties":{"a":{"type":"strin"}}}"#);
    assert_eq!(wrong.level, Level::Refused);
    assert_eq!(reason(&wrong), ("/properties/a/type", "type"));
    let remote = compiled("schema", r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#);
    assert_eq!(remote.level, Level::Refused);
    assert!(remote.reason.unwrap().text.contains("Retriev"));
    for text in ["[]", "7", "{", "\"json\"", ""] {
        assert_eq!(compiled("schema", text).level, Level::Refused, "{text}");
    }
    assert_eq!(compiled("schema", "false").level, Level::Refused);
}

#[test]
fn hostile_schemas_end() {
    let nested = format!("{}{}", r#"{"not":"#.repeat(5000), "{}".to_string() + &"}".repeat(5000));
    assert_eq!(compiled("schema", &nested).level, Level::Refused);
    let loops = compiled("schema", r##"{"allOf":[{"$ref":"#"}]}"##);
    if let Some(validator) = &loops.validator {
        let _ = check(validator, "1"); // has no meaning by the standard; it must end
    }
    let evil = compiled("schema", r#"{"type":"string","pattern":"^(a+)+$"}"#);
    let text = format!("\"{}!\"", "a".repeat(50_000));
    assert!(check(evil.validator.as_ref().unwrap(), &text).is_err());
    for pattern in ["(", "a{1,99999999}", "((a{1,1000}){1,1000}){1,1000}", "*"] {
        let schema = format!(r#"{{"pattern":{pattern:?}}}"#);
        assert_eq!(compiled("schema", &schema).level, Level::Refused, "{pattern}");
    }
}

#[test]
fn other_constraints_are_literal_texts_regexes_and_grammars() {
    let choice = compiled("choice", r#"["yes","no \"way\"","a/b|c"]"#);
    assert_eq!(choice.level, Level::Enforced);
    assert!(accepts(&choice, "yes") && accepts(&choice, "no \"way\"") && accepts(&choice, "a/b|c"));
    assert!(!accepts(&choice, "ye") && !accepts(&choice, "yesno"));
    for list in ["[]", "[\"\"]", "{}", "[1]"] {
        assert_eq!(compiled("choice", list).level, Level::Refused, "{list}");
    }
    let regex = compiled("regex", r"[0-9]{3}/[a-z]+");
    assert!(accepts(&regex, "123/ab") && !accepts(&regex, "12/ab"));
    assert_eq!(compiled("regex", "(").level, Level::Refused);
    let lark = compiled("lark", "start: \"a\" start \"b\" | \"\"");
    assert!(accepts(&lark, "aabb") && !accepts(&lark, "aab"));
    assert_eq!(compiled("gbnf", "root ::= \"a\"").level, Level::Refused);
}

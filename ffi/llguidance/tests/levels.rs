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
    (reason.pointer.as_deref().unwrap(), &reason.keyword)
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
    assert_eq!((broken.pointer.as_deref(), broken.keyword.as_str()), (Some("/not/a"), "not"));
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

#[test]
fn what_no_text_can_satisfy_is_refused_with_its_place() {
    for (schema, pointer, keyword) in [
        ("false", "", "false"),
        (r##"{"$ref":"#"}"##, "/$ref", "$ref"),
        (r##"{"allOf":[{"$ref":"#"}]}"##, "/allOf/0/$ref", "$ref"),
        (r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}"##, "/anyOf", "anyOf"),
        (
            r##"{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}"##,
            "/$defs/B/$ref",
            "$ref",
        ),
        (
            r##"{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}"##,
            "/properties/next/$ref",
            "$ref",
        ),
        (r#"{"type":"object","properties":{"a":false},"required":["a"]}"#, "/properties/a", "false"),
        (r##"{"type":"array","items":{"$ref":"#"},"minItems":1}"##, "/items/$ref", "$ref"),
        (r##"{"type":"array","prefixItems":[true,{"$ref":"#"}],"minItems":2}"##, "/prefixItems/1/$ref", "$ref"),
    ] {
        for kind in ["schema", "answer"] {
            let refused = compiled(kind, schema);
            assert_eq!(refused.level, Level::Refused, "{schema}");
            assert_eq!(reason(&refused), (pointer, keyword), "{schema}");
            assert!(refused.reason.unwrap().text.contains("no text can satisfy"), "{schema}");
        }
    }
}

#[test]
fn contradictions_are_refused_with_their_place() {
    for (schema, pointer) in [
        (r#"{"type":"integer","minimum":5,"maximum":3}"#, "/minimum"),
        (r#"{"type":"string","minLength":5,"maxLength":3}"#, "/minLength"),
        (r#"{"type":"array","minItems":5,"maxItems":3,"items":true}"#, "/minItems"),
        (r#"{"type":"object","minProperties":5,"maxProperties":3}"#, "/minProperties"),
        (r#"{"type":"string","pattern":"^a{5}$","maxLength":3}"#, "/pattern"),
        (r#"{"type":"integer","minimum":1,"maximum":3,"multipleOf":5}"#, "/multipleOf"),
        (r#"{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":2}"#, "/exclusiveMinimum"),
        (r#"{"type":"string","const":5}"#, "/const"),
        (r#"{"type":"string","enum":[5,6]}"#, "/enum"),
        (r#"{"allOf":[{"type":"string"},{"type":"integer"}]}"#, "/allOf"),
        (r#"{"enum":[]}"#, "/enum"),
    ] {
        for (schema, pointer) in [
            (schema.to_string(), pointer.to_string()),
            (
                format!(r#"{{"type":"object","properties":{{"a":{schema}}},"required":["a"]}}"#),
                format!("/properties/a{pointer}"),
            ),
        ] {
            let refused = compiled("schema", &schema);
            assert_eq!(refused.level, Level::Refused, "{schema}");
            let keyword = pointer.rsplit('/').next().unwrap();
            assert_eq!(reason(&refused), (pointer.as_str(), keyword), "{schema} {:?}", refused.reason);
        }
    }
}

#[test]
fn parts_that_no_text_can_satisfy_are_left_out_of_answers() {
    for (schema, yes, no) in [
        (r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"$ref":"#/$defs/A"}}}"##, "{}", r#"{"a"#),
        (r##"{"anyOf":[{"$ref":"#"},{"type":"null"}]}"##, "null", "1"),
        (r##"{"type":"array","items":{"$ref":"#/$defs/A"},"$defs":{"A":{"$ref":"#/$defs/A"}}}"##, "[]", "[1"),
        (r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##, r#"{"next":{"next":{}}}"#, r#"{"next":1"#),
        (r##"{"anyOf":[{"type":"array","items":{"$ref":"#"},"minItems":1},{"type":"integer"}]}"##, "[[1],2]", "[]"),
    ] {
        let found = compiled("answer", schema);
        assert_eq!(found.level, Level::Enforced, "{schema} {:?}", found.reason);
        assert!(accepts(&found, yes), "{schema} {yes}");
        let mut matcher = found.matcher.clone().unwrap();
        let tokens: Vec<u32> = no.bytes().map(u32::from).collect();
        assert!(matcher.try_consume_tokens(&tokens).unwrap() < tokens.len(), "{schema} {no}");
    }
}

#[test]
fn grammars_and_expressions_without_a_text_are_refused() {
    for (kind, text) in [("lark", "start: start \"a\""), ("lark", "start: a\na: b\nb: a"), ("regex", "[^\\s\\S]")] {
        let refused = compiled(kind, text);
        assert_eq!(refused.level, Level::Refused, "{text}");
        assert_eq!(refused.reason.unwrap().text, "no text can satisfy it", "{text}");
    }
}

//! Runs folders in the format of the JSON Schema Test Suite through engine and validator:
//! `cargo run --release --example suite -- [--markdown] DIR...`. Exit code 1 when an instance that is
//! invalid was accepted. The tables of docs/structured-output.md come from here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hutch_llguidance::{check, compile, factory, Level};
use serde_json::Value;

#[derive(Default)]
struct Row {
    enforced: usize,
    validated: usize,
    refused: usize,
    instances: usize,
    wrongly_accepted: usize,
    wrongly_refused: usize,
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("read a folder").flatten() {
            files(&entry.path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "json") {
        found.push(path.to_path_buf());
    }
}

fn main() -> ExitCode {
    let (flags, folders): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let mut pieces: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    pieces.push(vec![]);
    let factory = factory(&pieces, &[256], None, std::ptr::null()).expect("a vocabulary of bytes");
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for folder in &folders {
        let mut found = vec![];
        files(Path::new(folder), &mut found);
        for file in found {
            let name = file.strip_prefix(folder).unwrap().with_extension("");
            let row = rows.entry(name.to_string_lossy().replace('\\', "/")).or_default();
            let text = std::fs::read_to_string(&file).expect("read a file");
            let groups: Value = serde_json::from_str(&text).expect("JSON");
            for group in groups.as_array().expect("a list of groups") {
                run_group(&factory, group, row);
            }
        }
    }
    if flags.iter().any(|flag| flag == "--markdown") {
        println!("| keyword | enforced | validated | refused | instances | wrongly accepted | wrongly refused |");
        println!("|---|---|---|---|---|---|---|");
    }
    let mut sum = Row::default();
    for (name, row) in &rows {
        print(name, row);
        sum.enforced += row.enforced;
        sum.validated += row.validated;
        sum.refused += row.refused;
        sum.instances += row.instances;
        sum.wrongly_accepted += row.wrongly_accepted;
        sum.wrongly_refused += row.wrongly_refused;
    }
    print("**all**", &sum);
    if sum.wrongly_accepted == 0 && sum.instances > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print(name: &str, row: &Row) {
    println!(
        "| {name} | {} | {} | {} | {} | {} | {} |",
        row.enforced, row.validated, row.refused, row.instances, row.wrongly_accepted, row.wrongly_refused
    );
}

/// Accepted means: by the engine, byte by byte and at the end, and by the validator.
fn run_group(factory: &llguidance::ParserFactory, group: &Value, row: &mut Row) {
    let compiled = compile(factory, "schema", &group["schema"].to_string());
    match compiled.level {
        Level::Enforced => row.enforced += 1,
        Level::Validated => row.validated += 1,
        Level::Refused => row.refused += 1,
    }
    let (Some(matcher), Some(validator)) = (&compiled.matcher, &compiled.validator) else { return };
    for test in group["tests"].as_array().expect("a list of tests") {
        let data = test["data"].to_string();
        let tokens: Vec<u32> = data.bytes().map(u32::from).collect();
        let mut matcher = matcher.clone();
        let taken = matcher.try_consume_tokens(&tokens).unwrap_or(0);
        let engine = taken == tokens.len() && matcher.is_accepting().unwrap_or(false);
        let accepted = engine && check(validator, &data).is_ok();
        let valid = test["valid"].as_bool().expect("a verdict");
        row.instances += 1;
        row.wrongly_accepted += usize::from(accepted && !valid);
        row.wrongly_refused += usize::from(!accepted && valid);
    }
}

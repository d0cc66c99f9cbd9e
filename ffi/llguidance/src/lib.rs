//! The C interface of the constraint engine; hutch_llguidance.h describes it. No panic crosses: each
//! function turns one into its error result.

mod compile;
mod schema;
mod vocabulary;

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::sync::Arc;

use anyhow::{anyhow, Result};
use llguidance::{Matcher, ParserFactory};

pub use compile::{compile, Compiled, Level};
pub use schema::{check, Reason};
pub use vocabulary::{factory, Tokenize};

/// Deep schemas recurse; the pages are only taken when they are used.
const STACK: usize = 256 << 20;

pub struct Vocabulary(Arc<ParserFactory>);
pub struct Job(Receiver<Compiled>);

thread_local! {
    static ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

fn remember(text: &str) {
    ERROR.with(|error| *error.borrow_mut() = schema::short(text));
}

/// Runs the body of a C function.
fn guarded<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            remember(&format!("{error:#}"));
            failed
        }
        Err(_) => {
            remember("the constraint engine panicked");
            failed
        }
    }
}

unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, length)
    }
}

unsafe fn text<'a>(data: *const u8, length: usize) -> Result<&'a str> {
    std::str::from_utf8(bytes(data, length)).map_err(|_| anyhow!("not UTF-8"))
}

unsafe fn copy(text: &str, buffer: *mut c_char, size: usize) -> usize {
    let count = text.len().min(size);
    if count > 0 {
        std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), count);
    }
    text.len()
}

/// # Safety
/// As hutch_llguidance.h says; this holds for every function below.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_last_error(buffer: *mut c_char, size: usize) -> usize {
    ERROR.with(|error| copy(&error.borrow(), buffer, size))
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_vocabulary_init(
    pieces: *const u8,
    lengths: *const u32,
    count: usize,
    ends: *const u32,
    end_count: usize,
    tokenize: Option<Tokenize>,
    user: *const c_void,
) -> *mut Vocabulary {
    guarded(std::ptr::null_mut(), || {
        let lengths = std::slice::from_raw_parts(lengths, count);
        let mut rest = bytes(pieces, lengths.iter().map(|&n| n as usize).sum());
        let mut words = Vec::with_capacity(count);
        for &length in lengths {
            let (word, after) = rest.split_at(length as usize);
            words.push(word.to_vec());
            rest = after;
        }
        let ends = std::slice::from_raw_parts(ends, end_count);
        let factory = factory(&words, ends, tokenize, user)?;
        Ok(Box::into_raw(Box::new(Vocabulary(Arc::new(factory)))))
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_vocabulary_free(vocabulary: *mut Vocabulary) {
    guarded((), || {
        if !vocabulary.is_null() {
            drop(Box::from_raw(vocabulary));
        }
        Ok(())
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_compile_start(
    vocabulary: *const Vocabulary,
    kind: *const u8,
    kind_length: usize,
    source: *const u8,
    length: usize,
) -> *mut Job {
    guarded(std::ptr::null_mut(), || {
        let kind = text(kind, kind_length)?.to_string();
        let source = text(source, length)?.to_string();
        let factory = (*vocabulary).0.clone();
        let (sender, receiver) = channel();
        std::thread::Builder::new().name("compile".into()).stack_size(STACK).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| compile(&factory, &kind, &source)));
            // Without an answer the receiver sees the thread's end.
            if let Ok(compiled) = result {
                let _ = sender.send(compiled);
            }
        })?;
        Ok(Box::into_raw(Box::new(Job(receiver))))
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_compile_take(job: *mut Job, result: *mut *mut Compiled) -> i32 {
    guarded(-1, || match (*job).0.try_recv() {
        Ok(compiled) => {
            *result = Box::into_raw(Box::new(compiled));
            Ok(1)
        }
        Err(TryRecvError::Empty) => Ok(0),
        Err(TryRecvError::Disconnected) => Err(anyhow!("the constraint engine panicked")),
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_compile_free(job: *mut Job) {
    guarded((), || {
        if !job.is_null() {
            drop(Box::from_raw(job));
        }
        Ok(())
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_describe(compiled: *const Compiled, buffer: *mut c_char, size: usize) -> usize {
    guarded(0, || Ok(copy(&(*compiled).to_json().to_string(), buffer, size)))
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_validate(
    compiled: *const Compiled,
    source: *const u8,
    length: usize,
    buffer: *mut c_char,
    size: usize,
) -> isize {
    guarded(-1, || {
        let Some(validator) = &(*compiled).validator else { return Ok(0) };
        match schema::check(validator, text(source, length)?) {
            Ok(()) => Ok(0),
            Err(reason) => Ok(copy(&reason.to_json().to_string(), buffer, size) as isize),
        }
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_compiled_free(compiled: *mut Compiled) {
    guarded((), || {
        if !compiled.is_null() {
            drop(Box::from_raw(compiled));
        }
        Ok(())
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_matcher_init(compiled: *const Compiled) -> *mut Matcher {
    guarded(std::ptr::null_mut(), || {
        let matcher = (*compiled).matcher.as_ref().ok_or_else(|| anyhow!("the constraint was refused"))?;
        Ok(Box::into_raw(Box::new(matcher.clone())))
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_matcher_free(matcher: *mut Matcher) {
    guarded((), || {
        if !matcher.is_null() {
            drop(Box::from_raw(matcher));
        }
        Ok(())
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_mask(matcher: *mut Matcher, logits: *mut f32, count: usize) -> i32 {
    guarded(-1, || {
        let mask = (*matcher).compute_mask_or_eos()?;
        let logits = std::slice::from_raw_parts_mut(logits, count);
        let mut left = 0;
        for (token, logit) in logits.iter_mut().enumerate() {
            if token < mask.len() && mask.get(token) {
                left += 1;
            } else {
                *logit = f32::NEG_INFINITY;
            }
        }
        if left == 0 {
            return Err(anyhow!("the constraint allows no token of this vocabulary here"));
        }
        Ok(left)
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_commit(matcher: *mut Matcher, token: u32) -> i32 {
    guarded(-1, || {
        // Looked at first: a token that does not fit would put the matcher in an error state.
        let taken = (*matcher).try_consume_tokens(&[token])?;
        Ok(taken as i32)
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_forced(matcher: *mut Matcher, tokens: *mut u32, capacity: usize) -> isize {
    guarded(-1, || {
        let forced = (*matcher).compute_ff_tokens();
        if let Some(error) = (*matcher).get_error() {
            return Err(anyhow!(error));
        }
        let count = forced.len().min(capacity);
        std::ptr::copy_nonoverlapping(forced.as_ptr(), tokens, count);
        Ok(count as isize)
    })
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_accepting(matcher: *mut Matcher) -> i32 {
    guarded(-1, || Ok(i32::from((*matcher).is_accepting()?)))
}

/// # Safety
/// See hutch_llguidance.h.
#[no_mangle]
pub unsafe extern "C" fn hutch_llg_stopped(matcher: *const Matcher) -> i32 {
    guarded(-1, || Ok(i32::from((*matcher).is_stopped())))
}

//! The C interface of the constraint engine; hutch_llguidance.h describes it. No panic crosses: each
//! function turns one into its error result.

mod compile;
mod schema;
mod vocabulary;

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};

use anyhow::{anyhow, Result};
use llguidance::{Matcher, ParserFactory};

use compile::next_tokens;
pub use compile::{compile, Compiled, Level};
pub use schema::{check, Reason};
pub use vocabulary::{factory, Tokenize};

/// Deep schemas recurse; the pages are only taken when they are used.
const STACK: usize = 256 << 20;

/// A vocabulary as it came. What the engine makes of it takes a moment, so the first compilation does
/// that, on its own thread.
struct Words {
    pieces: Vec<Vec<u8>>,
    ends: Vec<u32>,
    tokenize: Option<Tokenize>,
    user: *const c_void,
    factory: OnceLock<std::result::Result<ParserFactory, String>>,
}

// The caller promises that `tokenize` may run on any thread for as long as the vocabulary lives.
unsafe impl Send for Words {}
unsafe impl Sync for Words {}

impl Words {
    fn factory(&self) -> Result<&ParserFactory> {
        self.factory
            .get_or_init(|| {
                factory(&self.pieces, &self.ends, self.tokenize, self.user)
                    .map_err(|error| format!("{error:#}"))
            })
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }
}

pub struct Vocabulary(Arc<Words>);
pub struct Job(Receiver<Result<Compiled>>);

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
        let ends = std::slice::from_raw_parts(ends, end_count).to_vec();
        let words = Words { pieces: words, ends, tokenize, user, factory: OnceLock::new() };
        Ok(Box::into_raw(Box::new(Vocabulary(Arc::new(words)))))
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
        let words = (*vocabulary).0.clone();
        let (sender, receiver) = channel();
        std::thread::Builder::new().name("compile".into()).stack_size(STACK).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                words.factory().map(|factory| compile(factory, &kind, &source))
            }));
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
            *result = Box::into_raw(Box::new(compiled?));
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
pub unsafe extern "C" fn hutch_llg_accepts(
    vocabulary: *const Vocabulary,
    compiled: *const Compiled,
    source: *const u8,
    length: usize,
) -> i32 {
    guarded(-1, || {
        let Some(matcher) = &(*compiled).matcher else { return Ok(0) };
        let trie = (*vocabulary).0.factory()?.tok_env().tok_trie();
        let text = bytes(source, length);
        let tokens = trie.greedy_tokenize(text);
        if trie.decode_raw(&tokens) != text {
            return Ok(0); // the vocabulary cannot write this text
        }
        let mut matcher = matcher.clone();
        let taken = matcher.try_consume_tokens(&tokens)?;
        Ok(i32::from(taken == tokens.len() && matcher.is_accepting()?))
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
        let refused = || match &(*compiled).reason {
            Some(reason) => anyhow!("the constraint was refused: {}", reason.text),
            None => anyhow!("the constraint was refused"),
        };
        let matcher = (*compiled).matcher.as_ref().ok_or_else(refused)?;
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
pub unsafe extern "C" fn hutch_llg_mask(matcher: *mut Matcher, bits: *mut u32, words: usize) -> i32 {
    guarded(-1, || {
        let dead_end = || anyhow!("the constraint has a dead end here: the text can neither go on nor end");
        let mask = next_tokens(&mut *matcher)?.ok_or_else(dead_end)?;
        let bits = std::slice::from_raw_parts_mut(bits, words);
        let source = mask.as_slice();
        let count = source.len().min(words);
        bits[..count].copy_from_slice(&source[..count]);
        bits[count..].fill(0);
        let left: u32 = bits.iter().map(|word| word.count_ones()).sum();
        if left == 0 {
            return Err(dead_end());
        }
        Ok(left as i32)
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

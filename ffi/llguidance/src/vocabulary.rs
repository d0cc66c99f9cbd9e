//! A model's vocabulary as llguidance sees it. Forced texts are tokenised by the model's own
//! tokenizer, so that they are the tokens the model would have written.

use std::ffi::c_void;
use std::sync::Arc;

use anyhow::{ensure, Result};
use llguidance::{earley::SlicedBiasComputer, ParserFactory};
use toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// Writes at most `capacity` token ids of a UTF-8 text and returns how many there are. Called from
/// any thread.
pub type Tokenize =
    extern "C" fn(user: *const c_void, text: *const u8, length: usize, tokens: *mut u32, capacity: usize) -> usize;

/// A control character that no word of a vocabulary has.
const ANCHOR: char = '\u{2}';

struct Environment {
    trie: TokTrie,
    tokenize: Option<Tokenize>,
    user: *const c_void,
}

// The caller promises that `tokenize` may run on any thread for as long as the vocabulary lives.
unsafe impl Send for Environment {}
unsafe impl Sync for Environment {}

impl Environment {
    fn cut(&self, tokenize: Tokenize, text: &str) -> Vec<TokenId> {
        let mut tokens = vec![0; text.len() + 8];
        let count = tokenize(self.user, text.as_ptr(), text.len(), tokens.as_mut_ptr(), tokens.len());
        tokens.truncate(count.min(tokens.len()));
        tokens
    }

    fn tokens(&self, tokenize: Tokenize, text: &str) -> Vec<TokenId> {
        let is_text = |tokens: &[TokenId]| self.trie.decode_raw(tokens) == text.as_bytes();
        let tokens = self.cut(tokenize, text);
        if is_text(&tokens) {
            return tokens;
        }
        // Some tokenizers put a blank in front of a text. Behind a character that joins with nothing
        // they cut it as they do in the middle of one.
        let behind = self.cut(tokenize, &format!("{ANCHOR}{text}"));
        let begin = (1..behind.len()).find(|&from| is_text(&behind[from..]));
        match begin {
            Some(from) => behind[from..].to_vec(),
            // Others normalise: then their tokens are another text.
            None => self.trie.greedy_tokenize(text.as_bytes()),
        }
    }
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        match self.tokenize {
            Some(tokenize) => self
                .trie
                .tokenize_with_greedy_fallback(bytes, |text| self.tokens(tokenize, text)),
            None => self.trie.greedy_tokenize(bytes),
        }
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.tokenize.is_some()
    }
}

/// `pieces`: bytes of each token, empty for those that must never come. `ends`: tokens that end a
/// generation, at least one.
pub fn factory(
    pieces: &[Vec<u8>],
    ends: &[u32],
    tokenize: Option<Tokenize>,
    user: *const c_void,
) -> Result<ParserFactory> {
    let count = pieces.len() as u32;
    ensure!(!ends.is_empty(), "the vocabulary has no token that ends a text");
    ensure!(ends.iter().all(|&end| end < count), "an end token is outside the vocabulary");
    let trie = TokTrie::from(&TokRxInfo::new(count, ends[0]), pieces).with_eos_tokens(ends);
    let environment: TokEnv = Arc::new(Environment { trie, tokenize, user });
    let slices = SlicedBiasComputer::general_slices();
    // Without the model's tokenizer nothing is forced: greedy tokens are not those it would write.
    let abilities = InferenceCapabilities { ff_tokens: tokenize.is_some(), ..Default::default() };
    let mut factory = ParserFactory::new(&environment, abilities, &slices)?;
    factory.quiet();
    // Errors go to clients: without the text so far and the grammar.
    factory.limits_mut().verbose_errors = false;
    Ok(factory)
}

"""All that guide knows about hutch, what may follow on it, and names of models."""

from facts_serve import SERVE
from facts_use import USE

FACTS = USE + SERVE
BY_ID = {entry[0]: entry for entry in FACTS}
assert len(BY_ID) == len(FACTS)

ASK = "(and |and |ok, |then |)(how do i|how can i|how to|how would i|how do you|what if i want to)"
# (what was talked about, what is asked, phrasings that make sense only after it)
FOLLOW = [
    ("serve restart", "stop_server", [f"{ASK} (stop|end|quit|kill|close) it( again)?", "(and )?(how do i|how to) shut it down( again)?", "and to stop it", "(what|how) about stopping it", "how does it end", "stopping it?", "and how does it stop", "turn it off again"]),
    ("serve stop_server", "restart", [f"{ASK} restart it", "and to restart it", "restarting it", f"{ASK} start it again"]),
    ("run pull create list show cp push import_gguf quantize", "rm", [f"{ASK} (delete|remove|erase|get rid of) (it|them|that|that one|one)( again)?", "and to (delete|remove) it", "(what|how) about (deleting|removing) it", "(deleting|removing) it", "how is it deleted( again)?", "and if i do not want it any more"]),
    ("run ps preload keep_alive", "stop", [f"{ASK} (stop|unload|end) (it|that|the model)( again)?", "and to (stop|unload) it", "(what|how) about (stopping|unloading) it", "(stopping|unloading) it", f"{ASK} free its memory", "how do i get it out of memory"]),
    ("pull create import_gguf list cp import_safetensors", "run", [f"{ASK} (run|use|start|try) (it|them|that|that one|one)( then)?", "and to (run|use) it", "(and )?(how|what) about running it", "and then", "(what|and) now", "what do i do with it( now| then)?", "what (next|then)", "(running|using) it"]),
    ("pull create import_gguf list rm run", "show", [f"{ASK} (see|get) (its|the) details", f"{ASK} inspect it", "(its|more) details", "what is inside( it)?", "details of it"]),
    ("pull create import_gguf list rm run", "store", ["(and )?where (is it|are they|is that|are those) (stored|saved|kept|located)", "where (does it|do they) go", "where is it( now)?", "(and )?where are they", "in which folder", "where on disk"]),
    ("store", "models_variable", [f"{ASK} change (that|it|this|the place)", "(can i|could i) (change|move) (it|that|them|this)", "(and )?(on|to) another disk", "what if (that|my) disk is full", "somewhere else"]),
    ("port serve", "host_variable", [f"{ASK} change (that|it|this|the port)", "(can i|could i) (change|choose) (it|that|this|another one|the port)", "what if i want another( one)?", "and on another port", "(can|and) other machines( reach it)?"]),
    ("default_context context_words long_prompt", "context_length", [f"{ASK} (change|raise|increase|set) (that|it|this)", "(can i|could i) (change|increase|raise) (it|that|this)", "that is too (small|short|little)", "what if i need more"]),
    ("run serve", "no_server", ["do i need (the|a) server for (that|this|it)", "does that need a server", "(and )?without (a|the) server", "must (it|the server) run for that"]),
    ("modelfile create from", "example_modelfile", ["(can you )?(give|show) me an example", "an example( please)?", "for example", "what does (it|that|one) look like", "example( please)?", "how does (it|one) look"]),
    ("generate api preload streaming", "example_generate", ["(can you )?(give|show) me an example", "an example( please)?", "for example", "how does (it|that|a request) look", "example( please)?", "with curl"]),
    ("chat", "example_chat", ["(can you )?(give|show) me an example", "an example( please)?", "for example", "how does (it|that|a request) look", "example( please)?", "with curl"]),
    ("quantize", "quantize_types", ["(which|what) (types|levels) are there", "what else than q4_k_m", "(which|what) others", "which (one|type|level) is best"]),
    ("can_do guide_model", "example_question", ["(can you )?(give|show) me an example", "an example( please)?", "for example", "example( please)?", "like what", "such as"]),
]
EXAMPLE_QUESTION = ("example_question", "an example", "Ask me for example: How do I run a model? Where are models stored? How do I get JSON?", [])

# Asked after any answer: (topic, answer, phrasings); None repeats the answer.
AFTER_ANY = [
    ("more", "That is all I know about it. hutch help and the README say more.", ["(tell me |say |give me |i want |explain )?more( about (it|that|this)| details| please)?", "(more |in |some )?details?( please)?", "(can|could) you (explain|elaborate)( that| it)?( in more detail| more)?", "explain (that|it|this)( more| better| in detail)?", "go on", "continue", "and( what)? else", "what else", "elaborate"]),
    ("doubt", "I think so, but I am only a small model. hutch help is always right.", ["are you sure( about (that|it|this))?", "really", "is (that|this) (true|right|correct)", "sure", "i (do not|don't) believe (that|you|it)", "how do you know( that)?", "(that|this) (sounds|seems|is) (wrong|strange|odd)", "you are wrong"]),
    ("why", "I only know that it is so, not why. ARCHITECTURE.md explains how hutch is made.", ["why( is that| so| not)?", "(but )?why", "what is the reason( for that)?", "how come", "why does it do that"]),
    ("repeat", None, ["(please )?(repeat|say) (that|it|this)( again| once more)?( please)?", "(what|pardon|sorry|huh|come again|once more|again)( please)?", "what did you (just )?say", "can you repeat( that| it)?", "i did not (get|understand|catch) that", "say (that|it) again"]),
]

MODELS = """llama3 llama3.1 llama3.2 llama3.3 llama2 llama4 mistral mixtral mistral-nemo mistral-small qwen2 qwen2.5 qwen3 qwen2.5-coder gemma gemma2 gemma3 gemma4 phi3 phi4 phi4-mini
deepseek-r1 deepseek-v3 deepseek-coder tinyllama smollm smollm2 codellama starcoder2 nomic-embed-text all-minilm mxbai-embed-large bge-m3 granite3.3 granite-code command-r aya olmo2 falcon3 vicuna wizardlm2
llava minicpm-v moondream gpt-oss qwq dolphin3 hermes3 openchat zephyr orca-mini yi stablelm2 neural-chat nous-hermes2 exaone3.5 cogito magistral devstral codestral embeddinggemma guide""".split()
TAGS = ["1b", "3b", "7b", "8b", "13b", "70b", "0.5b", "0.6b", "1.5b", "4b", "14b", "32b", "latest", "270m", "135m", "360m", "q4_0", "q8_0", "instruct", "text", "mini", "v2", "test", "e2b"]

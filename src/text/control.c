/* Tokens that are known by their text, for GGUF files that give control tokens the type of ordinary text, or no tokens any
 * type. The texts are those that llama.cpp looks for. */
#include "text/internal.h"

#include <string.h>

static const struct {
    const char *text;
    bool ends; /* an answer */
} known[] = {
    {"<|eot_id|>", true},       {"<|im_end|>", true},         {"<|end|>", true},        {"<|return|>", true},
    {"<|call|>", true},         {"<|calls|>", true},          {"<|flush|>", true},      {"<end_of_turn>", true},
    {"<|endoftext|>", true},    {"<|end_of_text|>", true},    {"<|eom_id|>", true},     {"</s>", true},
    {"<EOT>", true},            {"_<EOT>", true},             {"[EOT]", true},          {"[EOS]", true},
    {"<eos>", true},            {"<end_of_utterance>", true}, {"<turn|>", true},        {"<|tool_response>", true},
    {"[e~[", true},             {"<｜end▁of▁sentence｜>", true},
    /* Padding and the marks between files: a model that gives one of these has nothing more to say. */
    {"<|fim_pad|>", true},      {"<fim-pad>", true},          {"<fim_pad>", true},      {"<PAD>", true},
    {"[PAD]", true},            {"<|fim_repo|>", true},       {"<|repo_name|>", true},  {"<fim-repo>", true},
    {"<REPO>", true},           {"<reponame>", true},         {"<|file_sep|>", true},
    /* Control tokens inside a text. */
    {"<start_of_turn>", false}, {"<|fim_prefix|>", false},    {"<fim-prefix>", false},  {"<fim_prefix>", false},
    {"<PRE>", false},           {"▁<PRE>", false},            {"<|code_prefix|>", false}, {"<|prefix|>", false},
    {"<|fim_suffix|>", false},  {"<fim-suffix>", false},      {"<fim_suffix>", false},  {"<SUF>", false},
    {"▁<SUF>", false},          {"<|code_suffix|>", false},   {"<|suffix|>", false},    {"<|fim_middle|>", false},
    {"<fim-middle>", false},    {"<fim_middle>", false},      {"<MID>", false},         {"▁<MID>", false},
    {"<|code_middle|>", false}, {"<|middle|>", false},        {"<｜fim▁begin｜>", false}, {"<｜fim▁hole｜>", false},
    {"<｜fim▁end｜>", false},
    /* Gemma 4's, which peers type as text so that their parsers of answers see them. */
    {"<|channel>", false},      {"<channel|>", false},        {"<|tool_call>", false},  {"<tool_call|>", false},
    {"<tool_response|>", false}, {"<|\"|>", false},
};
_Static_assert(sizeof known / sizeof *known <= SL__KNOWN, "room for the known tokens");

int sl__known_find(const char *text, size_t len) {
    if (len < 4 || !strchr("<[_\xE2", text[0])) return -1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].text) == len && memcmp(known[i].text, text, len) == 0) return (int)i;
    return -1;
}

bool sl__known_ends(int number) { return known[number].ends; }

/* Is the text what stands between `open` and `close`, and nothing but characters of names in between? */
static bool enclosed(const char *text, size_t len, const char *open, const char *close) {
    size_t o = strlen(open), c = strlen(close);
    if (len <= o + c || memcmp(text, open, o) != 0 || memcmp(text + len - c, close, c) != 0) return false;
    for (size_t i = o; i < len - c; i++)
        if (!text[i] || strchr(" <>[]|\t\r\n", text[i])) return false;
    return true;
}

bool sl__looks_control(const char *text, size_t len) {
    return enclosed(text, len, "<|", "|>") || enclosed(text, len, "<｜", "｜>");
}

bool sl__looks_named(const char *text, size_t len) {
    return enclosed(text, len, "<", ">") || enclosed(text, len, "[", "]") || sl__looks_control(text, len);
}

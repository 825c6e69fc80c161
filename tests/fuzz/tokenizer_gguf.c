/* Lines: "model pre", then tokens as a type digit, a score digit and the text, a line "---", merges, a line "---", and
 * the text to encode. */
#include "text_use.h"

#define MOST 300

typedef struct lines {
    const char *text[MOST];
    uint32_t len[MOST];
    int count;
} lines;

static const char *read_lines(lines *l, const char *p, const char *end) {
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        const char *next = stop < end ? stop + 1 : end;
        if (stop - p == 3 && memcmp(p, "---", 3) == 0) return next;
        if (l->count < MOST) {
            l->text[l->count] = p;
            l->len[l->count++] = (uint32_t)(stop - p);
        }
        p = next;
    }
    return end;
}

static sl_vocab_token token(const char *line, uint32_t len) {
    return (sl_vocab_token){.type = len > 0 ? line[0] - '0' : 0,
                            .score = len > 1 ? (float)(line[1] - '5') / 3 : 0,
                            .text = len > 2 ? line + 2 : "",
                            .len = len > 2 ? len - 2 : 0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char name[64] = "";
    const char *p = (const char *)data, *end = p + size;
    const char *stop = size ? memchr(p, '\n', size) : NULL;
    if (!stop || stop - p >= (long)sizeof name) return 0;
    memcpy(name, p, (size_t)(stop - p));
    char *pre = strchr(name, ' ');
    if (pre) *pre++ = 0;
    lines tokens = {0}, merges = {0};
    p = read_lines(&tokens, stop + 1, end);
    p = read_lines(&merges, p, end);
    sl_vocab_token token_of[MOST];
    sl_vocab_merge merge_of[MOST];
    for (int i = 0; i < tokens.count; i++) token_of[i] = token(tokens.text[i], tokens.len[i]);
    for (int i = 0; i < merges.count; i++) merge_of[i] = (sl_vocab_merge){merges.text[i], merges.len[i]};
    sl_vocab_source v = {.model = name, .pre = pre ? pre : "", .tokens = token_of, .count = tokens.count, .merges = merge_of,
                         .merge_count = merges.count, .bos = (int)size % 7 - 1, .eos = 2, .unk = -1, .eot = 999, .eom = -5,
                         .pad = (int)size % 11, .add_bos = -1, .add_eos = 1, .add_space_prefix = (int)size % 3 - 1,
                         .origin = "fuzz", .rows = size % 5 ? 0 : 100};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    if (sl_tokenizer_open(&v, &t, &e) != SL_OK) {
        must(!t && e.message[0]);
        return 0;
    }
    use_tokenizer(t, p, end - p < 2000 ? (size_t)(end - p) : 2000);
    sl_tokenizer_free(t);
    return 0;
}

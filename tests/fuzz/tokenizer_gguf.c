/* Lines: "model pre", then tokens as a type digit, a score digit and the text, a line "---", merges, a line "---", and
 * the text to encode. */
#include "text_use.h"

#define MOST 300

typedef struct lines {
    const char *text[MOST];
    uint32_t len[MOST];
    int count;
} lines;

typedef struct arrays {
    lines tokens, merges;
} arrays;

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

static void token(const void *arg, int i, const char **ret_text, uint32_t *ret_len, float *ret_score, int *ret_type) {
    const lines *l = &((const arrays *)arg)->tokens;
    *ret_type = l->len[i] > 0 ? l->text[i][0] - '0' : 0;
    *ret_score = l->len[i] > 1 ? (float)(l->text[i][1] - '5') / 3 : 0;
    *ret_text = l->len[i] > 2 ? l->text[i] + 2 : "";
    *ret_len = l->len[i] > 2 ? l->len[i] - 2 : 0;
}

static void merge(const void *arg, int i, const char **ret_text, uint32_t *ret_len) {
    *ret_text = ((const arrays *)arg)->merges.text[i];
    *ret_len = ((const arrays *)arg)->merges.len[i];
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
    arrays a = {0};
    p = read_lines(&a.tokens, stop + 1, end);
    p = read_lines(&a.merges, p, end);
    sl_gguf_vocab v = {.model = name, .pre = pre ? pre : "", .count = a.tokens.count, .token = token,
                       .merge_count = a.merges.count, .merge = merge, .arg = &a, .bos = (int)size % 7 - 1, .eos = 2, .unk = -1,
                       .eot = 999, .eom = -5, .add_bos = -1, .add_eos = 1, .add_space_prefix = (int)size % 3 - 1, .origin = "fuzz"};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    if (sl_tokenizer_from_gguf(&v, &t, &e) != SL_OK) {
        must(!t && e.message[0]);
        return 0;
    }
    use_tokenizer(t, p, end - p < 2000 ? (size_t)(end - p) : 2000);
    sl_tokenizer_free(t);
    return 0;
}

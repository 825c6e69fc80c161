/* A text of `sluice experts`, read as a file. One that begins with 'R' is repeated beyond a piece, so that it is cut somewhere. */
#include "cli/corpus.h"

#include "base/alloc.h"
#include "scratch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool go_on(void) { return true; }

static const char vocabulary[] =
    "{\"added_tokens\": [], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, \"decoder\": "
    "{\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"\\u0120\": 3, \"\\u0120a\": 4}, "
    "\"merges\": [[\"a\", \"b\"], [\"\\u0120\", \"a\"]]}}";

static const sl_tokenizer *tokenizer(void) {
    static sl_tokenizer *t;
    sl_vocab_source v = {.tokenizer_json = vocabulary, .tokenizer_json_len = sizeof vocabulary - 1, .origin = "fuzz", .rows = 16};
    sl_error e;
    if (!t) must(sl_tokenizer_open(&v, &t, &e) == SL_OK);
    return t;
}

static void read_as_file(const void *text, size_t len, uint64_t most) {
    scratch file = scratch_open(text, len);
    char named[80];
    snprintf(named, sizeof named, "n=%s", file.path);
    const char *argument[] = {named, file.path};
    sl_corpus *c = NULL;
    sl_error e = {0};
    if (sl_corpus_read(argument, 1 + (int)(len % 2), tokenizer(), most, go_on, &c, &e) == SL_OK) {
        for (int i = 0; i < c->domains; i++) {
            const sl_domain *d = &c->domain[i];
            must(!most || d->ids.count <= most);
            for (size_t j = 0; j < d->documents; j++) must(d->end[j] > (j ? d->end[j - 1] : 0));
            must((d->documents ? d->end[d->documents - 1] : 0) == d->ids.count);
        }
        sl_corpus_free(c);
    } else {
        must(e.message[0] != 0);
    }
    scratch_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { BEYOND = 300 << 10 };
    if (size > 4096) return 0;
    read_as_file(data, size, size % 3 ? 0 : size / 2 + 1);
    if (size < 64 || data[0] != 'R') return 0;
    char *text = sl_malloc(BEYOND);
    must(text != NULL);
    for (size_t at = 0; at < BEYOND; at += size) memcpy(text + at, data, size < BEYOND - at ? size : BEYOND - at);
    read_as_file(text, BEYOND, 0);
    sl_free(text);
    return 0;
}

/* text_use.h: what both tokenizer targets do with a tokenizer that opened: encode, check, decode. */
#ifndef FUZZ_TEXT_USE_H
#define FUZZ_TEXT_USE_H

#include "base/alloc.h"
#include "must.h"
#include "text/tokenizer.h"

#include <string.h>

static inline void use_tokenizer(const sl_tokenizer *t, const char *text, size_t len) {
    for (int mode = 0; mode < 4; mode++) {
        sl_ids ids = {0};
        sl_error e = {0};
        if (sl_tokenizer_encode(t, text, len, mode & 1 ? SL_MARKUP : SL_CONTENT, mode & 2, 4096, &ids, &e) == SL_OK) {
            sl_buffer stream = {0}, whole = {0};
            sl_detokenizer d = {0};
            for (size_t i = 0; i < ids.count; i++) {
                size_t before = stream.len;
                must(ids.id[i] >= 0 && ids.id[i] < sl_tokenizer_count(t));
                sl_detokenize(t, &d, ids.id[i], mode & 1, &stream);
                must(stream.len - before <= sl_tokenizer_longest(t));
            }
            sl_detokenize_end(&d, &stream);
            sl_tokenizer_decode(t, ids.id, ids.count, mode & 1, &whole);
            must(stream.len == whole.len && (!whole.len || !memcmp(stream.data, whole.data, whole.len)));
            sl_buffer_done(&stream);
            sl_buffer_done(&whole);
        } else {
            must(ids.count == 0 && e.code != SL_OK && e.message[0]);
        }
        sl_free(ids.id);
    }
}

#endif

/* Which of the two containers a vocabulary comes from. */
#include "text/internal.h"

sl_status sl_tokenizer_open(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e) {
    return v->model ? sl__open_gguf(v, ret, e) : sl__open_hf(v, ret, e);
}

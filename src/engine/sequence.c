#include "engine/sequence.h"

int sl__sequence_tokens(const sl__sequence *s) { return s->prompt_len + s->generated_count; }

int32_t sl__sequence_token(const sl__sequence *s, int position) {
    return position < s->prompt_len ? s->prompt[position] : s->generated[position - s->prompt_len];
}

void sl__sequence_release(sl__sequence *s, sl__pages *p) {
    for (int i = 0; i < s->page_count; i++) sl__pages_drop(p, s->page[i]);
    s->page_count = 0;
    s->computed = 0;
}

void sl__sequence_preempt(sl__sequence *s, sl__pages *p) {
    sl__sequence_release(s, p);
    s->state = SL__WAITING;
    s->rows = 0;
}

bool sl__sequence_grow(sl__sequence *s, sl__pages *p, int positions) {
    while (s->page_count * SL_PAGE < positions) {
        int32_t page = sl__pages_take(p);
        if (page < 0) return false;
        s->page[s->page_count++] = page;
    }
    return true;
}

int sl__sequence_shareable(const sl__sequence *s) { return (s->prompt_len - 1) / SL_PAGE * SL_PAGE; }

void sl__sequence_share(sl__sequence *s, const sl__sequence *from, sl__pages *p) {
    int positions = sl__sequence_shareable(s);
    for (int i = 0; i < positions / SL_PAGE; i++) {
        sl__pages_share(p, from->page[i]);
        s->page[s->page_count++] = from->page[i];
    }
    s->computed = positions;
    if (s->peak < positions) s->peak = positions;
}

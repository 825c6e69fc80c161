/* Where ids come out of encoding: below every stage, so that none of them knows the one that called it. */
#include "text/internal.h"

#include "base/alloc.h"

#define PAUSE_IDS 1024 /* ids between two looks at what else there is to do: some milliseconds */

/* The model has nothing to look up for the token: the reference fails in the embedding. */
static sl_status no_row(const sl__encoder *en, int id) {
    const sl__vocabulary *v = &en->t->vocabulary;
    sl__text piece = v->piece[id];
    return sl_fail(en->e, SL_INVALID, "the text has the token \"%.*s\" (id %d), but the model's embedding has only %d rows",
                   (int)(piece.len < 60 ? piece.len : 60), sl__vocabulary_text(v, piece), id, en->t->rows);
}

bool sl_ids_add(sl_ids *ids, int32_t id) {
    if (ids->count == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 64;
        int32_t *grown = sl_realloc(ids->id, cap, sizeof *grown);
        if (!grown) return false;
        ids->id = grown;
        ids->cap = cap;
    }
    ids->id[ids->count++] = id;
    return true;
}

sl_status sl__emit(sl__encoder *en, int id) {
    sl_ids *ids = en->ids;
    if (id >= en->t->rows) return no_row(en, id);
    if (en->pause && ids->count % PAUSE_IDS == PAUSE_IDS - 1 && !en->pause(en->pause_arg))
        return sl_fail(en->e, SL_CANCELLED, "nobody waits for these tokens any more");
    if (ids->count == en->most) return sl_fail(en->e, SL_TOO_LONG, "the text has more tokens than there may be");
    return sl_ids_add(ids, id) ? SL_OK : sl_fail(en->e, SL_NOMEM, "no memory for %zu token ids", ids->count + 1);
}

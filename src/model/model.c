/* A model that is open: what it tells, and its end. */
#include "model/internal.h"

#include "base/alloc.h"

#include <string.h>

sl_model *sl_model_close(sl_model *m) {
    if (!m) return NULL;
    sl__open *o = (sl__open *)m;
    sl__close_maps(o);
    sl_arena_free(o->arena);
    sl_free(o);
    return NULL;
}

const sl_notes *sl_model_notes(const sl_model *m) { return &((const sl__open *)m)->notes; }

bool sl_model_tensor(const sl_model *m, int i, sl_tensor_entry *ret) {
    const sl__open *o = (const sl__open *)m;
    if (i < 0 || (uint32_t)i >= o->tensors.index.count) return false;
    const sl__tensor *t = &o->tensors.entry[i];
    *ret = (sl_tensor_entry){.name = t->name, .type = t->type_name, .dims = t->dims, .bytes = t->bytes,
                             .file = o->map[t->file].path, .data = t->data, .used = t->used};
    memcpy(ret->shape, t->shape, sizeof ret->shape);
    return true;
}

const sl_vocab_source *sl_model_vocab(const sl_model *m) { return &((const sl__open *)m)->vocab; }

bool sl_model_key(const sl_model *m, int i, sl_key_entry *ret) {
    const sl__gguf *g = &((const sl__open *)m)->gguf;
    if (i < 0 || (uint32_t)i >= g->keys.count) return false;
    const uint8_t *type = (const uint8_t *)g->keys.name[i].text + g->keys.name[i].len; /* a key is followed by its value */
    *ret = (sl_key_entry){g->keys.name[i].text, g->keys.name[i].len, type, (size_t)(g->value[i].end - type)};
    return true;
}

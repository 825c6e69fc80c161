/* An importance matrix in either form, for the model of a seed of gguf/. */
#include "convert/internal.h"

#include "scratch.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static sl__plan *plan_of_the_model(void) {
    static sl__plan plan;
    sl_model *m;
    sl_error e;
    if (plan.model) return &plan;
    must(sl_model_open(MODEL, &m, &e) == SL_OK);
    must(sl__plan_make(m, sl_arena_new(), &plan, &e) == SL_OK);
    return &plan;
}

static void use(sl__imatrix *x, const sl__plan *p, sl_arena *arena) {
    for (int i = 0; i < p->count; i++) {
        const sl__out *o = &p->out[i];
        const float *values = sl__imatrix_for(x, o);
        const sl__imatrix_entry *n = sl__imatrix_find(x, o);
        size_t count = (size_t)o->slices * (size_t)o->slice->cols;
        for (size_t j = 0; values && j < count; j++) must(values[j] >= 0 || isnan(values[j]));
        for (size_t j = 0; n && j < count; j++) sink = (double)sl__imatrix_sum(n, j);
        for (int j = 0; n && j < o->slices; j++) sink = sl__imatrix_rows(n, j, 512);
    }
    for (int i = 0; i < 4; i++) {
        const char *name = sl__imatrix_dataset(x, i, arena);
        if (name) sink = (double)strlen(name);
    }
    sl__keys keys = {0};
    sl__imatrix_keys(x, &keys);
    sl_buffer_done(&keys.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const sl__plan *p = plan_of_the_model();
    scratch file = scratch_open(data, size);
    sl_arena *arena = sl_arena_new();
    sl__imatrix *x = NULL;
    sl_notes notes = {.count = 0};
    sl_error e = {0};
    must(arena != NULL);
    if (sl__imatrix_open(file.path, p, arena, &notes, &x, &e) == SL_OK) {
        use(x, p, arena);
        sl__imatrix_close(x);
    } else {
        must(e.message[0] != 0);
    }
    sl_arena_free(arena);
    scratch_close(&file);
    return 0;
}

/* A whole GGUF file, opened as a model; what was bound is touched at both ends. */
#include "model/model.h"
#include "touch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(const sl_matrix *m) { sink = touched(m); }

static void touch_model(const sl_model *m) {
    sl_tensor_entry t;
    touch(&m->embedding);
    touch(&m->output);
    for (int i = 0; i < m->hp.layers; i++) {
        const sl_layer *l = &m->layer[i];
        touch(&l->q), touch(&l->k), touch(&l->v), touch(&l->o), touch(&l->dense.down), touch(&l->router);
        for (int j = 0; l->experts && j < m->hp.experts; j++) touch(&l->experts[j].gate), touch(&l->experts[j].down);
        sink = ((const uint8_t *)(l->attn_norm + m->hp.width))[-1];
    }
    for (int i = 0; sl_model_tensor(m, i, &t); i++) sink = (uint8_t)t.name[0];
    const sl_vocab_source *v = sl_model_vocab(m);
    for (int i = 0; i < v->count; i++)
        if (v->tokens[i].len) sink = (uint8_t)v->tokens[i].text[v->tokens[i].len - 1];
    for (int i = 0; i < v->merge_count; i++)
        if (v->merges[i].len) sink = (uint8_t)v->merges[i].text[v->merges[i].len - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    sl_model *m = NULL;
    sl_error e;
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (sl_model_open(path, &m, &e) == SL_OK) touch_model(m);
    sl_model_close(m);
    close(fd);
    return 0;
}

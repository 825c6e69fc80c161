/* A config and a safetensors file, bound to each other: two bytes of length n, n bytes of config.json, then the file. */
#include "model/internal.h"
#include "touch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint16_t n;
    sl_error e;
    if (size < sizeof n) return 0;
    memcpy(&n, data, sizeof n);
    if (n > size - sizeof n) return 0;
    const char *config = (const char *)data + sizeof n;
    sl__open o = {.arena = sl_arena_new()};
    if (!o.arena) abort();
    o.tensors.index.arena = o.arena;
    sl_status s = sl__safetensors_parse(data + sizeof n + n, size - sizeof n - n, "a", 0, &o.tensors, &e);
    for (uint32_t i = 0; s == SL_OK && i < o.tensors.index.count; i++)
        if (o.tensors.entry[i].bytes) sink = o.tensors.entry[i].data[o.tensors.entry[i].bytes - 1];
    if (s == SL_OK) s = sl__config_parse(config, n, "b", &o.model.family, &o.model.hp, &o.declared, &o.notes, &e);
    if (s == SL_OK) s = sl__bind(&o, false, &e);
    for (int i = 0; s == SL_OK && i < o.model.hp.layers; i++) {
        const sl_layer *l = &o.layer[i];
        sink = touched(&l->v);
        for (int j = 0; l->experts && j < o.model.hp.experts; j++) sink = touched(&l->experts[j].up) ^ touched(&l->experts[j].down);
    }
    sl_arena_free(o.arena);
    return 0;
}

/* The files of a model being opened: each is mapped once and stays so until the model is closed. */
#include "model/internal.h"

#include "base/alloc.h"

sl_status sl__open_map(sl__open *o, const char *path, int *ret, sl_error *e) {
    if (o->maps == o->map_cap) {
        int cap = o->map_cap ? o->map_cap * 2 : 8;
        sl_map *grown = sl_realloc(o->map, (size_t)cap, sizeof *grown);
        if (!grown) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
        o->map = grown;
        o->map_cap = cap;
    }
    sl_map map = {0};
    sl_status s = sl_map_open(path, &map, e);
    if (s != SL_OK) return s;
    o->map[o->maps] = map;
    *ret = o->maps++;
    return SL_OK;
}

void sl__close_maps(sl__open *o) {
    for (int i = 0; i < o->maps; i++) sl_map_close(&o->map[i]);
    sl_free(o->map);
}

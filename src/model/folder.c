/* A Hugging Face folder: config.json, model.safetensors or the shards that model.safetensors.index.json lists, and the
 * tokenizer's files, which are only mapped here. */
#include "model/internal.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_TEXT (256 * 1024 * 1024) /* a JSON file */

/* FOLDER/NAME on the heap. */
static char *join(const char *folder, const char *name) {
    size_t n = strlen(folder), m = strlen(name);
    char *path = sl_malloc(n + m + 2);
    if (path) snprintf(path, n + m + 2, "%s/%s", folder, name);
    return path;
}

/* Maps FOLDER/NAME; a file that is not there is no error if it is optional: *ret is -1. */
static sl_status map_file(sl__open *o, const char *folder, const char *name, bool optional, int *ret, sl_error *e) {
    char *path = join(folder, name);
    if (!path) return sl_fail(e, SL_NOMEM, "%s: out of memory", folder);
    sl_status s = SL_OK;
    if (optional && access(path, F_OK) != 0) *ret = -1;
    else s = sl__open_map(o, path, ret, e);
    sl_free(path);
    return s;
}

static sl_status map_text(sl__open *o, const char *folder, const char *name, bool optional, const char **ret,
                          size_t *ret_len, sl_error *e) {
    int file = -1;
    sl_status s = map_file(o, folder, name, optional, &file, e);
    if (s != SL_OK || file < 0) return s;
    if (o->map[file].size == 0 || o->map[file].size > MAX_TEXT)
        return sl_fail(e, SL_FORMAT, "%s: %zu bytes, not 1 … %d", o->map[file].path, o->map[file].size, MAX_TEXT);
    *ret = (const char *)o->map[file].data;
    *ret_len = o->map[file].size;
    return SL_OK;
}

static sl_status open_weights(sl__open *o, const char *folder, const char *name, sl_error *e) {
    int file = -1;
    sl_status s = map_file(o, folder, name, false, &file, e);
    if (s != SL_OK) return s;
    const sl_map *m = &o->map[file];
    o->model.files++;
    return sl__safetensors_parse(m->data, m->size, m->path, file, &o->tensors, e);
}

static bool plain_name(const char *name) {
    size_t n = strlen(name);
    return n > 12 && n < 256 && !strchr(name, '/') && name[0] != '.' && strcmp(name + n - 12, ".safetensors") == 0;
}

/* Opens every shard once, in the order in which the index names them first. */
static sl_status open_shards(sl__open *o, const char *folder, const sl_json *map, sl_error *e) {
    sl__index shards = {.arena = o->arena};
    const char *key;
    json_t *value;
    json_object_foreach(map->v, key, value) {
        sl_json at = {.v = value, .parent = map, .key = key};
        const char *name = NULL;
        sl_status s = sl_json_string(&at, &name, NULL, e);
        if (s == SL_OK && !plain_name(name)) s = sl_json_fail(&at, e, "must be the plain name of a .safetensors file");
        if (s != SL_OK) return s;
        if (sl__index_find(&shards, name, strlen(name)) >= 0) continue;
        if (shards.count == SL__MAX_FILES) return sl_json_fail(map, e, "names more than %d files", SL__MAX_FILES);
        if (sl__index_add(&shards, name, (uint32_t)strlen(name)) != SL_OK) return sl_fail(e, SL_NOMEM, "%s: out of memory", folder);
        s = open_weights(o, folder, name, e);
        if (s != SL_OK) return s;
    }
    /* The index and the shards must name the same tensors. */
    if (json_object_size(map->v) != o->tensors.index.count)
        return sl_json_fail(map, e, "lists %zu tensors, but the files have %" PRIu32, json_object_size(map->v), o->tensors.index.count);
    json_object_foreach(map->v, key, value) {
        const sl__tensor *t = sl__tensors_find(&o->tensors, key);
        sl_json at = {.v = value, .parent = map, .key = key};
        if (!t) return sl_json_fail(&at, e, "is in none of the files");
    }
    return SL_OK;
}

static sl_status open_index(sl__open *o, const char *folder, const char *text, size_t len, sl_error *e) {
    char *path = join(folder, "model.safetensors.index.json");
    sl_json top, map;
    if (!path) return sl_fail(e, SL_NOMEM, "%s: out of memory", folder);
    sl_status s = sl_json_parse_python(text, len, path, &top, e);
    if (s == SL_OK) {
        sl_json_get(&top, "weight_map", &map);
        s = sl_json_object(&map, e);
        if (s == SL_OK) s = open_shards(o, folder, &map, e);
        json_decref(top.v);
    }
    sl_free(path);
    return s;
}

sl_status sl__folder_open(sl__open *o, const char *path, sl_error *e) {
    const char *index = NULL;
    size_t index_len = 0;
    sl_vocab_source *v = &o->vocab;
    *v = (sl_vocab_source){.pre = "", .bos = -1, .eos = -1, .unk = -1, .eot = -1, .eom = -1, .pad = -1,
                           .add_bos = -1, .add_eos = -1, .add_space_prefix = -1, .origin = o->model.path};
    o->model.container = "safetensors";
    sl_status s = map_text(o, path, "config.json", false, &v->config_json, &v->config_json_len, e);
    if (s == SL_OK) s = map_text(o, path, "tokenizer.json", true, &v->tokenizer_json, &v->tokenizer_json_len, e);
    if (s == SL_OK)
        s = map_text(o, path, "tokenizer_config.json", true, &v->tokenizer_config_json, &v->tokenizer_config_json_len, e);
    if (s == SL_OK)
        s = map_text(o, path, "generation_config.json", true, &v->generation_config_json, &v->generation_config_json_len, e);
    if (s == SL_OK) s = map_text(o, path, "model.safetensors.index.json", true, &index, &index_len, e);
    if (s != SL_OK) return s;
    return index ? open_index(o, path, index, index_len, e) : open_weights(o, path, "model.safetensors", e);
}

/* A Hugging Face folder: config.json, model.safetensors or the shards that model.safetensors.index.json lists, and the
 * tokenizer's files, which are only mapped here. */
#include "model/internal.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Maps FOLDER/NAME; a file that is not there is no error if it is optional: *ret is -1. In a cache files are links to others,
 * which are missing where somebody copied the links alone. */
static sl_status map_file(sl__open *o, const char *folder, const char *name, bool optional, int *ret, sl_error *e) {
    char *path = join(folder, name);
    if (!path) return sl_fail(e, SL_NOMEM, "%s: out of memory", folder);
    sl_status s = SL_OK;
    if (sl__dangling(path)) s = sl_fail(e, SL_NOT_FOUND, "%s is a link to a file that is not there", path);
    else if (optional && access(path, F_OK) != 0) *ret = -1;
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
    const char *mistaken = o->map[file].data[0] == '{' ? NULL : sl__mistaken_file(o->map[file].data, o->map[file].size);
    if (mistaken) return sl_fail(e, SL_FORMAT, "%s is no JSON text: %s", o->map[file].path, mistaken);
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

static int by_name(const void *a, const void *b) {
    const sl__name *x = a, *y = b;
    return strcmp(x->text, y->text);
}

/* The files that the index names, each once, in alphabetical order. What tensors it puts into which is not looked at: as for
 * transformers, whatever the files hold is there, and what is missing is missed when it is needed. */
static sl_status list_shards(const sl_json *map, sl__index *shards, sl_error *e) {
    const char *key;
    json_t *value;
    json_object_foreach(map->v, key, value) {
        sl_json at = {.v = value, .parent = map, .key = key};
        const char *name = NULL;
        sl_status s = sl_json_string(&at, &name, NULL, e);
        if (s == SL_OK && !plain_name(name)) s = sl_json_fail(&at, e, "must be the plain name of a .safetensors file");
        if (s != SL_OK) return s;
        if (sl__index_find(shards, name, strlen(name)) >= 0) continue;
        if (shards->count == SL__MAX_FILES) return sl_json_fail(map, e, "names more than %d files", SL__MAX_FILES);
        if (sl__index_add(shards, name, (uint32_t)strlen(name)) != SL_OK) return sl_fail(e, SL_NOMEM, "out of memory for the list of files");
    }
    if (shards->count == 0) return sl_json_fail(map, e, "names no file");
    qsort(shards->name, shards->count, sizeof *shards->name, by_name); /* nothing is looked up in it from here on */
    return SL_OK;
}

static sl_status open_shards(sl__open *o, const char *folder, const sl_json *map, sl_error *e) {
    sl__index shards = {.arena = o->arena};
    sl_status s = list_shards(map, &shards, e);
    o->tensors.later_counts = true;
    for (uint32_t i = 0; i < shards.count && s == SL_OK; i++) s = open_weights(o, folder, shards.name[i].text, e);
    if (s == SL_OK && o->tensors.replaced)
        sl_notes_add(&o->notes, "%s: %" PRIu32 " tensors are in more than one file: the last file's are used", folder, o->tensors.replaced);
    return s;
}

static sl_status open_index(sl__open *o, const char *folder, int file, sl_error *e) {
    const sl_map *m = &o->map[file];
    sl_json top, map;
    sl_status s = sl_json_parse_python((const char *)m->data, m->size, m->path, &top, e);
    if (s != SL_OK) return s;
    sl_json_get(&top, "weight_map", &map);
    s = sl_json_object(&map, e);
    if (s == SL_OK) s = open_shards(o, folder, &map, e);
    json_decref(top.v);
    return s;
}

/* A link counts, even to a file that is not there: map_file() says so then. */
static bool there(const char *folder, const char *name) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && (access(path, F_OK) == 0 || sl__dangling(path));
}

/* One file, or those that an index lists; of both, the one file. */
static sl_status open_all_weights(sl__open *o, const char *folder, sl_error *e) {
    static const char one[] = "model.safetensors", many[] = "model.safetensors.index.json";
    bool single = there(folder, one), index = there(folder, many);
    if (single && index) sl_notes_add(&o->notes, "%s: %s is read, %s beside it is not", folder, one, many);
    if (single) return open_weights(o, folder, one, e);
    if (!index) return sl__mistaken_folder(folder, true, e);
    const char *text;
    size_t len;
    sl_status s = map_text(o, folder, many, false, &text, &len, e);
    return s == SL_OK ? open_index(o, folder, o->maps - 1, e) : s;
}

sl_status sl__folder_open(sl__open *o, const char *path, sl_error *e) {
    sl_vocab_source *v = &o->vocab;
    *v = (sl_vocab_source){.pre = "", .bos = -1, .eos = -1, .unk = -1, .eot = -1, .eom = -1, .pad = -1,
                           .add_bos = -1, .add_eos = -1, .add_space_prefix = -1, .origin = o->model.path};
    o->model.container = "safetensors";
    if (!there(path, "config.json")) return sl__mistaken_folder(path, false, e);
    sl_status s = map_text(o, path, "config.json", false, &v->config_json, &v->config_json_len, e);
    if (s == SL_OK) s = map_text(o, path, "tokenizer.json", true, &v->tokenizer_json, &v->tokenizer_json_len, e);
    if (s == SL_OK)
        s = map_text(o, path, "tokenizer_config.json", true, &v->tokenizer_config_json, &v->tokenizer_config_json_len, e);
    if (s == SL_OK)
        s = map_text(o, path, "generation_config.json", true, &v->generation_config_json, &v->generation_config_json_len, e);
    return s == SL_OK ? open_all_weights(o, path, e) : s;
}

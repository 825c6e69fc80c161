/* What people give instead of a model, for the error's message: the cache's folder instead of the snapshot in it, PyTorch's
 * pickles, pointers that Git LFS left, a web page that was saved as a model. Looks at names and first bytes only. */
#include "model/internal.h"

#include "base/buffer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Files, by their first bytes ---- */

#define PICKLE "PyTorch's pickled checkpoints are not read: convert to safetensors (model.save_pretrained in transformers)"

static const struct kind {
    const char *begin;
    size_t len;
    const char *what;
} kinds[] = {
    {"version https://git-lfs", 23, "a Git LFS pointer stands in its place: fetch the file itself (git lfs pull)"},
    {"PK\x03\x04", 4, "it is a zip archive; " PICKLE},
    {"\x80\x02", 2, "it is a Python pickle; " PICKLE},
    {"<", 1, "it is a web page: was the download refused?"},
    {"{", 1, "it is JSON text: give the folder that it lies in"},
    {"lmgg", 4, "it is a GGML file from before GGUF, which is not read: convert the model anew"},
    {"fmgg", 4, "it is a GGML file from before GGUF, which is not read: convert the model anew"},
    {"tjgg", 4, "it is a GGML file from before GGUF, which is not read: convert the model anew"},
    {"GGUF", 4, "it is a GGUF file: give it as the model, by its own name"},
    {"\x1f\x8b", 2, "it is compressed (gzip): unpack it"},
    {"\x28\xb5\x2f\xfd", 4, "it is compressed (zstd): unpack it"},
    {"\xfd" "7zXZ", 5, "it is compressed (xz): unpack it"},
    {"\0\0\0\0\0\0\0\0", 8, "it begins with zeros: is the download complete?"},
};

const char *sl__mistaken_file(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].len && memcmp(data, kinds[i].begin, kinds[i].len) == 0) return kinds[i].what;
    uint64_t header = 0;
    if (size > sizeof header) memcpy(&header, data, sizeof header);
    if (header > 1 && header < size - 8 && data[8] == '{') return "it is a safetensors file: give the folder that it lies in";
    return NULL;
}

/* ---- Folders, by what is in them ---- */

typedef struct listing {
    struct dirent **entry; /* [count] in alphabetical order */
    int count;
} listing;

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* The first name that begins and ends so, NULL if there is none. */
static const char *name_like(const listing *l, const char *start, const char *end) {
    for (int i = 0; i < l->count; i++)
        if (starts_with(l->entry[i]->d_name, start) && ends_with(l->entry[i]->d_name, end)) return l->entry[i]->d_name;
    return NULL;
}

static bool exists(const char *folder, const char *sub, const char *name) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s/%s", folder, sub, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* The commit that FOLDER/refs/main names, if its snapshot is there; else the first snapshot; "" if there is none. */
static void find_snapshot(const char *folder, char ret[256]) {
    char path[4096];
    size_t n = 0;
    *ret = 0;
    snprintf(path, sizeof path, "%s/refs/main", folder);
    FILE *f = fopen(path, "rb");
    if (f) {
        n = fread(ret, 1, 64, f);
        fclose(f);
    }
    ret[n] = 0;
    ret[strcspn(ret, "\r\n/ ")] = 0;
    snprintf(path, sizeof path, "%s/snapshots", folder);
    if (*ret && exists(path, ret, ".")) return;
    *ret = 0;
    struct dirent **entry = NULL;
    int count = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (!*ret && entry[i]->d_name[0] != '.') snprintf(ret, 256, "%s", entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
}

static const char no_config[] = "there is no config.json", no_weights[] = "there is no model.safetensors";

/* Where a model is, if not in this folder itself; false: nowhere that can be seen from here. */
static bool look_below(const char *path, const listing *l, sl_buffer *out) {
    char snapshot[256];
    const char *other = name_like(l, "models--", "");
    if (name_like(l, "snapshots", "")) {
        find_snapshot(path, snapshot);
        sl_buffer_printf(out, "%s: it is a repository's folder in a cache; give %s/snapshots/%s", no_config, path,
                 *snapshot ? snapshot : "… once a snapshot is there");
        return true;
    }
    if (other) {
        char sub[4096];
        snprintf(sub, sizeof sub, "%s/%s", path, other);
        find_snapshot(sub, snapshot);
        sl_buffer_printf(out, "%s: it is a cache of models; give one of its snapshots, such as %s/%s/snapshots/%s", no_config, path,
                         other, *snapshot ? snapshot : "…");
        return true;
    }
    for (int i = 0; i < l->count; i++) {
        if (l->entry[i]->d_name[0] == '.' || !exists(path, l->entry[i]->d_name, "config.json")) continue;
        sl_buffer_printf(out, "%s here, but in %s/%s: give that folder", no_config, path, l->entry[i]->d_name);
        return true;
    }
    if (exists(path, "hub", ".")) { /* $HF_HOME */
        sl_buffer_printf(out, "%s: it may be a cache's folder; give a snapshot in %s/hub", no_config, path);
        return true;
    }
    return false;
}

static const struct stranger {
    const char *start, *end, *what; /* of a file's name */
} strangers[] = {
    {"adapter_", "", "is part of an adapter (LoRA), which is not served: merge it into its base model"},
    {"model-", ".safetensors", "is one of several shards: model.safetensors.index.json, which lists them, is missing"},
    {"pytorch_model", "", "is PyTorch's: " PICKLE},
    {"", ".bin", "looks like PyTorch's: " PICKLE},
    {"", ".pth", "is PyTorch's: " PICKLE},
    {"", ".pt", "is PyTorch's: " PICKLE},
    {"consolidated", "", "is in the publisher's own format, not in transformers': convert it"},
    {"tf_model", "", "is TensorFlow's, which is not read"},
    {"flax_model", "", "is Flax's, which is not read"},
    {"", ".onnx", "is ONNX's, which is not read"},
    {"model_index.json", "", "says that this is a diffusion pipeline, not a language model"},
    {"", ".incomplete", "is a download that was broken off"},
    {"", ".safetensors", "has another name: only model.safetensors, or what its index lists, is read"},
};

sl_status sl__mistaken_folder(const char *path, bool config, sl_error *e) {
    listing l = {NULL, 0};
    sl_buffer text = {0};
    const char *lack = config ? no_weights : no_config, *found = NULL;
    l.count = scandir(path, &l.entry, NULL, alphasort);
    bool below = !config && look_below(path, &l, &text);
    if (!below && (found = name_like(&l, "", ".gguf"))) sl_buffer_printf(&text, "%s, but a GGUF file: give %s/%s", lack, path, found);
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers && !below && !found; i++) {
        found = name_like(&l, strangers[i].start, strangers[i].end);
        if (found) sl_buffer_printf(&text, "%s; %s %s", lack, found, strangers[i].what);
    }
    for (int i = 0; i < l.count; i++) free(l.entry[i]);
    free(l.entry);
    if (!below && !found) sl_buffer_puts(&text, lack);
    sl_status s = sl_fail(e, SL_NOT_FOUND, "%s: %s", path, sl_buffer_text(&text));
    sl_buffer_done(&text);
    return s;
}

bool sl__dangling(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && stat(path, &st) != 0;
}

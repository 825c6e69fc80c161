/* The files of a model, opened together as `sluice serve` opens them: a folder with its shards, tokenizer and templates, or the two parts
 * of a split GGUF. The input has them one after the other, each behind a line "=== NAME"; other names are left out. */
#include "cli/chat_template.h"
#include "cli/load.h"

#include "must.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK "=== "
#define FIRST_PART "m-00001-of-00002.gguf"

static const char *const names[] = {
    FIRST_PART, "m-00002-of-00002.gguf", "config.json", "model.safetensors", "model.safetensors.index.json", "a.safetensors", "b.safetensors",
    "tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "chat_template.json", "chat_template.jinja",
};
enum { NAMES = sizeof names / sizeof *names };

static volatile uint8_t sink;

static void store(const char *folder, const char *name, const char *text, size_t len) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
}

/* Writes the sections; returns whether the first part of a split file is among them. */
static bool unpack(const char *folder, const char *at, const char *end) {
    bool split = false;
    while (at && (size_t)(end - at) >= strlen(MARK) && !memcmp(at, MARK, strlen(MARK))) {
        const char *name = at + strlen(MARK), *line = memchr(name, '\n', (size_t)(end - name));
        if (!line) break;
        const char *text = line + 1, *next = memmem(text, (size_t)(end - text), "\n" MARK, strlen("\n" MARK));
        for (int i = 0; i < NAMES; i++) {
            if (strlen(names[i]) != (size_t)(line - name) || memcmp(names[i], name, strlen(names[i]))) continue;
            store(folder, names[i], text, (size_t)((next ? next : end) - text));
            split = split || i == 0;
        }
        at = next ? next + 1 : NULL;
    }
    return split;
}

static void open_all(const char *path) {
    sl_loaded l = {0};
    sl_chat_source chat = {0};
    sl_tensor_entry t;
    sl_error e = {0};
    if (sl_model_open(path, &l.model, &e) == SL_OK) {
        for (int i = 0; sl_model_tensor(l.model, i, &t); i++)
            if (t.bytes) sink = ((const uint8_t *)t.data)[t.bytes - 1];
        if (sl_tokenizer_open(sl_model_vocab(l.model), &l.tokenizer, &e) == SL_OK) {
            if (sl_chat_source_open(&l, NULL, &chat, &e) == SL_OK) sl_chat_source_done(&chat);
            else must(e.message[0] != 0);
        }
    }
    must((l.model && l.tokenizer) || e.message[0]);
    sl_unload(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char folder[] = "/tmp/fuzz-files-XXXXXX", path[128];
    must(mkdtemp(folder) != NULL);
    bool split = unpack(folder, (const char *)data, (const char *)data + size);
    snprintf(path, sizeof path, "%s%s", folder, split ? "/" FIRST_PART : "");
    open_all(path);
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}

#include "cli/load.h"

#include <stdint.h>
#include <stdio.h>

sl_status sl_load_told(const char *path, void (*tell)(void *arg, const char *doing), void *arg, sl_loaded *ret, sl_error *e) {
    sl_loaded l = {0};
    if (tell) tell(arg, "opening the model");
    sl_status st = sl_model_open(path, &l.model, e);
    if (!st && tell) tell(arg, "building the tokenizer");
    if (!st) st = sl_tokenizer_open(sl_model_vocab(l.model), &l.tokenizer, e);
    if (st) sl_unload(&l);
    else *ret = l;
    return st;
}

sl_status sl_load(const char *path, sl_loaded *ret, sl_error *e) { return sl_load_told(path, NULL, NULL, ret, e); }

void sl_loaded_notes(const sl_loaded *l, void (*show)(void *arg, const char *text), void *arg) {
    if (l->model) sl_notes_show(sl_model_notes(l->model), show, arg);
    if (l->tokenizer) sl_notes_show(sl_tokenizer_notes(l->tokenizer), show, arg);
}

static void to_stderr(void *arg, const char *text) { fprintf(stderr, "sluice %s: warning: %s\n", (const char *)arg, text); }

void sl_loaded_warn(const sl_loaded *l, const char *command) {
    sl_loaded_notes(l, to_stderr, (void *)(uintptr_t)command);
}

void sl_unload(sl_loaded *l) {
    l->tokenizer = sl_tokenizer_free(l->tokenizer);
    l->model = sl_model_close(l->model);
}

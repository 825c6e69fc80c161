#include "cli/load.h"

#include <stdint.h>
#include <stdio.h>

/* model/ knows the container, text/ knows tokens; neither may include the other, so the vocabulary is handed over here. */

static void token_of(const void *arg, int i, const char **ret_text, uint32_t *ret_len, float *ret_score, int *ret_type) {
    const sl_vocab_token *t = &((const sl_vocab_source *)arg)->tokens[i];
    *ret_text = t->text;
    *ret_len = t->len;
    *ret_score = t->score;
    *ret_type = t->type;
}

static void merge_of(const void *arg, int i, const char **ret_text, uint32_t *ret_len) {
    const sl_vocab_source *v = arg;
    *ret_text = v->merges[i].text;
    *ret_len = v->merges[i].len;
}

static sl_status open_tokenizer(const sl_model *m, sl_tokenizer **ret, sl_error *e) {
    const sl_vocab_source *v = sl_model_vocab(m);
    if (v->model) {
        sl_gguf_vocab g = {.model = v->model, .pre = v->pre, .count = v->count, .token = token_of,
                           .merge_count = v->merge_count, .merge = merge_of, .arg = v, .bos = v->bos, .eos = v->eos,
                           .unk = v->unk, .eot = v->eot, .eom = v->eom, .add_bos = v->add_bos, .add_eos = v->add_eos,
                           .add_space_prefix = v->add_space_prefix, .origin = v->origin};
        return sl_tokenizer_from_gguf(&g, ret, e);
    }
    if (!v->tokenizer_json) return sl_fail(e, SL_NOT_FOUND, "%s: there is no tokenizer.json", v->origin);
    sl_hf_vocab h = {.tokenizer_json = v->tokenizer_json,
                     .tokenizer_json_len = v->tokenizer_json_len,
                     .tokenizer_config_json = v->tokenizer_config_json,
                     .tokenizer_config_json_len = v->tokenizer_config_json_len,
                     .generation_config_json = v->generation_config_json,
                     .generation_config_json_len = v->generation_config_json_len,
                     .config_json = v->config_json,
                     .config_json_len = v->config_json_len,
                     .origin = v->origin,
                     .vocab_rows = m->hp.vocab};
    return sl_tokenizer_from_hf(&h, ret, e);
}

sl_status sl_load_told(const char *path, void (*tell)(void *arg, const char *doing), void *arg, sl_loaded *ret, sl_error *e) {
    sl_loaded l = {0};
    if (tell) tell(arg, "opening the model");
    sl_status st = sl_model_open(path, &l.model, e);
    if (!st && tell) tell(arg, "building the tokenizer");
    if (!st) st = open_tokenizer(l.model, &l.tokenizer, e);
    if (!st && sl_tokenizer_count(l.tokenizer) > l.model->hp.vocab)
        st = sl_fail(e, SL_FORMAT, "%s: the tokenizer has %d tokens, the embedding only %d rows", path,
                     sl_tokenizer_count(l.tokenizer), l.model->hp.vocab);
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

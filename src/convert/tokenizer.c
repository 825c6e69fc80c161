/* A folder's vocabulary as tokenizer.ggml.*. text/ puts it in GGUF's form or says why that cannot be; here it is written,
 * after a tokenizer made from that form has been seen to give the same ids. */
#include "convert/internal.h"

#include "base/alloc.h"
#include "base/map.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { I32 = 5, F32 = 6, STRING = 8 };

/* What pre-tokenizers disagree about: digits, contractions, case, runs of spaces and lines, signs, marks, scripts, forms of
 * one letter, emoji, bytes that are no text. */
static const char *const samples[] = {
    "Hello, world!  It's 12345 o'clock; we'LL see 3.14159 and 1,000,000.",
    "int main(void) {\n\treturn x<<2 != 0 ? \"a\\n\" : 'b';\n}\n\n\n  // HTMLParser iPhone camelCase\r\n",
    "Größe naïve café cafe\xCC\x81 \xE2\x84\xAB \xEF\xAC\x81 Ελληνικά русский العربية हिन्दी 한국어 日本語テキスト 中文字符 ไทย",
    "   leading, trailing   and\t\ttabs \xC2\xA0 \xE3\x80\x80 ...!!!??? --- *** ### $1,234.56 50% #tag @name a_b-c/d\\e",
    "\xF0\x9F\x98\x80\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x94\xA7 e=mc\xC2\xB2 \xC2\xBD \xD9\xA1\xD9\xA2\xD9\xA3 \xE0\xA5\xA7\xE0\xA5\xA8",
    "",
    " ",
    "\n",
    "a",
};

static sl_status encode(const sl_tokenizer *t, const char *text, sl_markup markup, sl_ids *ids, sl_error *e) {
    ids->count = 0;
    return sl_tokenizer_encode(t, text, strlen(text), markup, true, 1 << 24, ids, e);
}

static sl_status same_ids(const sl_tokenizer *a, const sl_tokenizer *b, const char *text, sl_markup markup, const char *path, sl_error *e) {
    sl_ids x = {0}, y = {0};
    sl_status s = encode(a, text, markup, &x, e);
    if (s == SL_OK) s = encode(b, text, markup, &y, e);
    if (s == SL_OK && (x.count != y.count || (x.count && memcmp(x.id, y.id, x.count * sizeof *x.id) != 0)))
        s = sl_fail(e, SL_UNSUPPORTED, "%s: its tokenizer is none that GGUF can say: there \"%.40s\" would have other tokens", path, text);
    sl_free(x.id);
    sl_free(y.id);
    return s;
}

/* The two tokenizers have to agree wherever they are asked; what ends an answer is only noted. */
static sl_status compare(const sl_tokenizer *folder, const sl_vocab_source *v, const char *path, sl_notes *notes, sl_error *e) {
    sl_tokenizer *made = NULL;
    sl_status s = sl_tokenizer_open(v, &made, e);
    if (s != SL_OK) return s;
    for (size_t i = 0; i < sizeof samples / sizeof *samples && s == SL_OK; i++)
        s = same_ids(folder, made, samples[i], SL_CONTENT, path, e);
    if (s == SL_OK && v->chat_template) s = same_ids(folder, made, v->chat_template, SL_CONTENT, path, e);
    for (int i = 0; i < sl_tokenizer_count(folder) && s == SL_OK; i++) {
        if (sl_tokenizer_ends(folder, i) == sl_tokenizer_ends(made, i)) continue;
        sl_notes_add(notes, "%s: token %d \"%.*s\" %s, and in the new file it %s", path, i,
                     i < v->count ? (int)(v->tokens[i].len < 40 ? v->tokens[i].len : 40) : 0, i < v->count ? v->tokens[i].text : "",
                     sl_tokenizer_ends(folder, i) ? "ends an answer" : "does not end an answer",
                     sl_tokenizer_ends(made, i) ? "does" : "will not");
    }
    sl_tokenizer_free(made);
    return s;
}

static void put_tokens(const sl_vocab_source *v, sl__keys *k) {
    bool scores = strcmp(v->model, "llama") == 0;
    sl__put_array(k, "tokenizer.ggml.tokens", STRING, (uint64_t)v->count);
    for (int i = 0; i < v->count; i++) sl__put_text(k, v->tokens[i].text, v->tokens[i].len);
    if (scores) sl__put_array(k, "tokenizer.ggml.scores", F32, (uint64_t)v->count);
    for (int i = 0; scores && i < v->count; i++) sl__put_bytes(k, &v->tokens[i].score, sizeof v->tokens[i].score);
    sl__put_array(k, "tokenizer.ggml.token_type", I32, (uint64_t)v->count);
    for (int i = 0; i < v->count; i++) sl__put_bytes(k, &v->tokens[i].type, sizeof v->tokens[i].type);
    if (!v->merge_count) return;
    sl__put_array(k, "tokenizer.ggml.merges", STRING, (uint64_t)v->merge_count);
    for (int i = 0; i < v->merge_count; i++) sl__put_text(k, v->merges[i].text, v->merges[i].len);
}

static void put_all(const sl_vocab_source *v, sl__keys *k) {
    const struct {
        const char *key;
        int id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", v->bos}, {"tokenizer.ggml.eos_token_id", v->eos}, {"tokenizer.ggml.unknown_token_id", v->unk},
               {"tokenizer.ggml.eot_token_id", v->eot}, {"tokenizer.ggml.eom_token_id", v->eom}, {"tokenizer.ggml.padding_token_id", v->pad}};
    const struct {
        const char *key;
        int flag;
    } flags[] = {{"tokenizer.ggml.add_bos_token", v->add_bos}, {"tokenizer.ggml.add_eos_token", v->add_eos},
                 {"tokenizer.ggml.add_space_prefix", v->add_space_prefix}};
    sl__put_string(k, "tokenizer.ggml.model", v->model);
    sl__put_string(k, "tokenizer.ggml.pre", v->pre);
    put_tokens(v, k);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id >= 0) sl__put_u32(k, ids[i].key, (uint32_t)ids[i].id);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].flag >= 0) sl__put_bool(k, flags[i].key, flags[i].flag != 0);
    if (v->chat_template) sl__put_string(k, "tokenizer.chat_template", v->chat_template);
}

/* A template that has a file of its own, where tokenizer_config.json has none. */
static sl_status template_file(const sl_model *m, sl_arena *arena, const char **ret, sl_error *e) {
    sl_map map = {0};
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/chat_template.jinja", m->path);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0) return SL_OK;
    sl_status s = sl_map_open(path, &map, e);
    if (s != SL_OK) return s;
    *ret = sl_arena_copy(arena, SL_MEM_VOCABULARY, (const char *)map.data, map.size);
    sl_map_close(&map);
    return *ret ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for %s", path);
}

sl_status sl__keys_tokenizer(const sl_model *m, sl_arena *arena, sl__keys *k, sl_notes *notes, sl_error *e) {
    const sl_vocab_source *folder = sl_model_vocab(m);
    sl_vocab_source v;
    sl_tokenizer *t = NULL;
    if (!folder->tokenizer_json)
        return sl_fail(e, SL_NOT_FOUND, "%s: there is no tokenizer.json, without which the new file would be of no use", m->path);
    sl_status s = sl_tokenizer_open(folder, &t, e);
    if (s != SL_OK) return s;
    s = sl_tokenizer_to_gguf(t, folder, arena, &v, notes, e);
    if (s == SL_OK && !v.chat_template) s = template_file(m, arena, &v.chat_template, e);
    if (s == SL_OK) s = compare(t, &v, m->path, notes, e);
    if (s == SL_OK) put_all(&v, k);
    sl_tokenizer_free(t);
    return s;
}

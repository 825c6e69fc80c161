/* tokenizer.json's pipeline components, each kind either taken over exactly or refused by name. */
#include "text/internal.h"

#include "base/json.h"

#include <string.h>

#define LONGEST_REPLACEMENT 64 /* bytes; a rewriting rule may not blow a text up without bound */

static sl_status unsupported(const sl_json *at, const char *what, const char *type, sl_error *e) {
    sl_json_fail(at, e, "%s \"%.60s\" is not supported", what, type);
    if (e) e->code = SL_UNSUPPORTED;
    return SL_UNSUPPORTED;
}

static sl_status type_of(const sl_json *at, const char **ret, sl_error *e) {
    sl_json type;
    size_t len;
    if (!sl_json_get(at, "type", &type)) return sl_json_fail(at, e, "a type is missing");
    return sl_json_string(&type, ret, &len, e);
}

/* Calls one() for the component, or for each component of a Sequence. one() refuses a Sequence inside a Sequence. */
typedef sl_status component(sl_tokenizer *t, const sl_json *at, const char *type, sl_error *e);
static sl_status each(sl_tokenizer *t, const sl_json *at, const char *list, component *one, sl_error *e) {
    const char *type;
    sl_json items, item;
    sl_status s = type_of(at, &type, e);
    if (s != SL_OK) return s;
    if (strcmp(type, "Sequence") != 0) return one(t, at, type, e);
    if (!sl_json_get(at, list, &items)) return sl_json_fail(at, e, "%s is missing", list);
    if ((s = sl_json_array(&items, 64, e)) != SL_OK) return s;
    for (size_t i = 0; i < sl_json_size(&items) && s == SL_OK; i++) {
        if (!sl_json_at(&items, i, &item)) return sl_json_fail(&items, e, "an entry is null");
        s = type_of(&item, &type, e);
        if (s == SL_OK) s = one(t, &item, type, e);
    }
    return s;
}

/* {"String": text} or {"Regex": text} */
static sl_status pattern_of(const sl_json *at, const char **ret, size_t *ret_len, bool *ret_literal, sl_error *e) {
    sl_json pattern, text;
    if (!sl_json_get(at, "pattern", &pattern)) return sl_json_fail(at, e, "pattern is missing");
    *ret_literal = sl_json_get(&pattern, "String", &text);
    if (!*ret_literal && !sl_json_get(&pattern, "Regex", &text)) return sl_json_fail(&pattern, e, "neither String nor Regex");
    return sl_json_string(&text, ret, ret_len, e);
}

static sl_status short_text(sl_tokenizer *t, const sl_json *at, const char *key, const char **ret, uint32_t *ret_len, sl_error *e) {
    sl_json member;
    const char *text;
    size_t len;
    if (!sl_json_get(at, key, &member)) return sl_json_fail(at, e, "%s is missing", key);
    sl_status s = sl_json_string(&member, &text, &len, e);
    if (s != SL_OK) return s;
    if (len > LONGEST_REPLACEMENT) return unsupported(&member, "a text of this length:", text, e);
    *ret = sl_arena_copy(t->arena, SL_MEM_VOCABULARY, text, len);
    *ret_len = (uint32_t)len;
    return *ret ? SL_OK : sl_fail(e, SL_NOMEM, "%s: no memory for the tokenizer", t->origin);
}

static sl_status normalizer(sl_tokenizer *t, const sl_json *at, const char *type, sl_error *e) {
    static const struct { const char *type; sl__form kind; } forms[] = {
        {"NFC", SL__NFC}, {"NFD", SL__NFD}, {"NFKC", SL__NFKC}, {"NFKD", SL__NFKD},
    };
    if (t->normalizers == SL__NORMALIZERS) return unsupported(at, "a long list of normalizers, with", type, e);
    sl__normalizer *step = &t->normalizer[t->normalizers++];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(type, forms[i].type) != 0) continue;
        step->kind = forms[i].kind;
        return SL_OK;
    }
    if (strcmp(type, "Prepend") == 0) {
        step->kind = SL__PREPEND;
        return short_text(t, at, "prepend", &step->to, &step->to_len, e);
    }
    if (strcmp(type, "Replace") == 0) {
        bool literal;
        const char *from;
        size_t from_len;
        sl_status s = pattern_of(at, &from, &from_len, &literal, e);
        if (s != SL_OK) return s;
        if (!literal || !from_len || from_len > LONGEST_REPLACEMENT) return unsupported(at, "replacing the pattern", from, e);
        step->kind = SL__REPLACE;
        step->from = sl_arena_copy(t->arena, SL_MEM_VOCABULARY, from, from_len);
        step->from_len = (uint32_t)from_len;
        if (!step->from) return sl_fail(e, SL_NOMEM, "%s: no memory for the tokenizer", t->origin);
        return short_text(t, at, "content", &step->to, &step->to_len, e);
    }
    return unsupported(at, "normalizer", type, e);
}

static sl_status add_pattern(sl_tokenizer *t, const sl_json *at, const char *pattern, size_t len, bool literal, sl_error *e) {
    if (t->splitters == SL__SPLITTERS) return unsupported(at, "a long list of pre-tokenizers, with", pattern, e);
    sl_status s = sl__splitter_compile(t->arena, pattern, len, literal, t->origin, &t->splitter[t->splitters], e);
    if (s == SL_OK) t->splitters++;
    return s;
}

/* Is it a character of which the last normalizer leaves none? Gemma cuts at spaces, but behind one that makes them U+2581. */
static bool is_gone(const sl_tokenizer *t, const char *text, size_t len) {
    const sl__normalizer *n = t->normalizers ? &t->normalizer[t->normalizers - 1] : NULL;
    return n && n->kind == SL__REPLACE && len == 1 && n->from_len == 1 && *n->from == *text && !memchr(n->to, *text, n->to_len);
}

static sl_status split(sl_tokenizer *t, const sl_json *at, sl_error *e) {
    const char *pattern, *behavior = "Isolated";
    size_t len, ignored;
    bool literal, invert = false;
    sl_status s = pattern_of(at, &pattern, &len, &literal, e);
    if (s == SL_OK) s = sl_json_opt_string(at, "behavior", &behavior, &ignored, e);
    if (s == SL_OK) s = sl_json_opt_bool(at, "invert", &invert, e);
    if (s == SL_OK && literal && !invert && is_gone(t, pattern, len)) return SL_OK; /* it cuts nowhere */
    if (s == SL_OK) s = add_pattern(t, at, pattern, len, literal, e);
    if (s != SL_OK) return s;
    sl__splitter *sp = &t->splitter[t->splitters - 1];
    if (strcmp(behavior, "Removed") == 0) {
        sp->keep_matches = invert;
        sp->keep_gaps = !invert;
    } else if (strcmp(behavior, "Isolated") != 0) {
        return unsupported(at, "split behavior", behavior, e);
    }
    return SL_OK;
}

static sl_status byte_level(sl_tokenizer *t, const sl_json *at, sl__prefix_space prefix, sl_error *e) {
    bool add_prefix_space = true, use_regex = true;
    sl_status s = sl_json_opt_bool(at, "add_prefix_space", &add_prefix_space, e);
    if (s == SL_OK) s = sl_json_opt_bool(at, "use_regex", &use_regex, e);
    if (s != SL_OK) return s;
    t->kind = SL__BYTES;
    if (prefix != SL__PREFIX_AS_FILE) add_prefix_space = prefix == SL__PREFIX_YES;
    if (add_prefix_space) {
        if (t->splitters == SL__SPLITTERS) return unsupported(at, "a long list of pre-tokenizers, with", "ByteLevel", e);
        t->splitter[t->splitters++].kind = SL__PREFIX_SPACE;
    }
    const char *pattern = sl__pre_find("gpt-2")->pattern[0];
    return use_regex ? add_pattern(t, at, pattern, strlen(pattern), false, e) : SL_OK;
}

/* replacement, add_prefix_space (old) and prepend_scheme (new), shared by pre-tokenizer and decoder. */
static sl_status metaspace_scheme(const sl_json *at, sl__prepend *ret_prepend, sl_error *e) {
    const char *replacement = SL__LOW_LINE, *scheme = "always";
    size_t len = 3;
    bool add_prefix_space = true;
    sl_status s = sl_json_opt_string(at, "replacement", &replacement, &len, e);
    if (s == SL_OK && (len != 3 || memcmp(replacement, SL__LOW_LINE, 3) != 0))
        s = unsupported(at, "the Metaspace replacement", replacement, e);
    if (s == SL_OK) s = sl_json_opt_bool(at, "add_prefix_space", &add_prefix_space, e);
    if (!add_prefix_space) scheme = "never";
    if (s == SL_OK) s = sl_json_opt_string(at, "prepend_scheme", &scheme, &len, e);
    if (s != SL_OK) return s;
    if (strcmp(scheme, "always") == 0) *ret_prepend = SL__PREPEND_ALWAYS;
    else if (strcmp(scheme, "first") == 0) *ret_prepend = SL__PREPEND_FIRST;
    else if (strcmp(scheme, "never") == 0) *ret_prepend = SL__PREPEND_NEVER;
    else return unsupported(at, "prepend_scheme", scheme, e);
    return SL_OK;
}

static sl_status metaspace(sl_tokenizer *t, const sl_json *at, sl_error *e) {
    sl__prepend prepend;
    bool cut = true;
    sl_status s = metaspace_scheme(at, &prepend, e);
    if (s == SL_OK) s = sl_json_opt_bool(at, "split", &cut, e);
    if (s != SL_OK) return s;
    if (t->splitters == SL__SPLITTERS) return unsupported(at, "a long list of pre-tokenizers, with", "Metaspace", e);
    t->splitter[t->splitters++] = (sl__splitter){.kind = SL__METASPACE, .prepend = prepend, .split = cut};
    return SL_OK;
}

static sl_status pre_tokenizer(sl_tokenizer *t, const sl_json *at, const char *type, sl_error *e) {
    if (t->kind == SL__BYTES) return unsupported(at, "after ByteLevel the pre-tokenizer", type, e);
    if (strcmp(type, "Split") == 0) return split(t, at, e);
    if (strcmp(type, "ByteLevel") == 0) return byte_level(t, at, SL__PREFIX_AS_FILE, e);
    if (strcmp(type, "Metaspace") == 0) return metaspace(t, at, e);
    if (strcmp(type, "Digits") == 0) {
        bool individual = false;
        sl_status s = sl_json_opt_bool(at, "individual_digits", &individual, e);
        const char *pattern = individual ? SL__DIGIT : SL__DIGIT "+";
        return s == SL_OK ? add_pattern(t, at, pattern, strlen(pattern), false, e) : s;
    }
    return unsupported(at, "pre-tokenizer", type, e);
}

/* The steps of a decoder. What a token adds to a text is worked out once, when the vocabulary is read, so the steps have to
 * make up one of these: ByteLevel; Metaspace; or Replace of U+2581 by a space, with any of ByteFallback, Fuse and Strip. */
typedef struct decoder_steps {
    bool byte_level, metaspace, replace, byte_fallback, fuse, strip;
} decoder_steps;

static sl_status decoder_step(const sl_json *at, decoder_steps *d, sl_tokenizer *t, sl_error *e) {
    const char *type;
    sl_status s = type_of(at, &type, e);
    if (s != SL_OK) return s;
    if (strcmp(type, "ByteLevel") == 0) d->byte_level = true;
    else if (strcmp(type, "ByteFallback") == 0) d->byte_fallback = true;
    else if (strcmp(type, "Fuse") == 0) d->fuse = true;
    else if (strcmp(type, "Metaspace") == 0) {
        sl__prepend prepend;
        if ((s = metaspace_scheme(at, &prepend, e)) != SL_OK) return s;
        d->metaspace = true;
        if (prepend != SL__PREPEND_NEVER) t->strip = SL__STRIP_ALL;
    } else if (strcmp(type, "Replace") == 0) {
        const char *from, *to = "";
        size_t from_len, to_len = 0;
        bool literal;
        if ((s = pattern_of(at, &from, &from_len, &literal, e)) != SL_OK) return s;
        if ((s = sl_json_opt_string(at, "content", &to, &to_len, e)) != SL_OK) return s;
        if (!literal || strcmp(from, SL__LOW_LINE) != 0 || strcmp(to, " ") != 0) return unsupported(at, "decoding with Replace of", from, e);
        d->replace = true;
    } else if (strcmp(type, "Strip") == 0) {
        const char *content = "";
        size_t len;
        int64_t start = 0, stop = 0;
        if ((s = sl_json_opt_string(at, "content", &content, &len, e)) != SL_OK) return s;
        if ((s = sl_json_opt_int(at, "start", 0, INT32_MAX, &start, e)) != SL_OK) return s;
        if ((s = sl_json_opt_int(at, "stop", 0, INT32_MAX, &stop, e)) != SL_OK) return s;
        if (strcmp(content, " ") != 0 || start > 1 || stop || !d->fuse) return unsupported(at, "decoding with Strip of", content, e);
        d->strip = start == 1;
    } else {
        return unsupported(at, "decoder", type, e);
    }
    return SL_OK;
}

static sl_status decoder(sl_tokenizer *t, const sl_json *file, sl_error *e) {
    sl_json at, items, item;
    decoder_steps d = {0};
    const char *type;
    if (!sl_json_get(file, "decoder", &at)) return unsupported(file, "decoder", "null", e);
    sl_status s = type_of(&at, &type, e);
    if (s != SL_OK) return s;
    if (strcmp(type, "Sequence") != 0) {
        s = decoder_step(&at, &d, t, e);
    } else if (!sl_json_get(&at, "decoders", &items)) {
        s = sl_json_fail(&at, e, "decoders is missing");
    } else {
        s = sl_json_array(&items, 64, e);
        for (size_t i = 0; s == SL_OK && i < sl_json_size(&items); i++) {
            if (!sl_json_at(&items, i, &item)) return sl_json_fail(&items, e, "an entry is null");
            s = decoder_step(&item, &d, t, e);
        }
    }
    if (s != SL_OK) return s;
    if (d.byte_level != (t->kind == SL__BYTES) || (d.byte_level && (d.metaspace || d.replace || d.byte_fallback || d.strip)))
        return unsupported(&at, "together with this pre-tokenizer the decoder", type, e);
    if (t->kind != SL__BYTES) {
        if (d.metaspace == d.replace) return unsupported(&at, "without one of Metaspace and Replace the decoder", type, e);
        t->repair_bytes = true;
        t->decode_bytes = d.byte_fallback;
        if (d.strip) t->strip = SL__STRIP_ONE;
    }
    return SL_OK;
}

static sl_status pre_tokenizers(sl_tokenizer *t, const sl_json *at, sl__prefix_space prefix, sl_error *e) {
    const char *type;
    sl_status s = type_of(at, &type, e);
    if (s == SL_OK && strcmp(type, "ByteLevel") == 0) return byte_level(t, at, prefix, e);
    return s == SL_OK ? each(t, at, "pretokenizers", pre_tokenizer, e) : s;
}

sl_status sl__pipeline(sl_tokenizer *t, const sl_json *file, sl__prefix_space prefix, sl_error *e) {
    sl_json at;
    sl_status s = SL_OK;
    t->kind = SL__CHARS;
    if (sl_json_get(file, "normalizer", &at)) s = each(t, &at, "normalizers", normalizer, e);
    if (s == SL_OK && sl_json_get(file, "pre_tokenizer", &at)) s = pre_tokenizers(t, &at, prefix, e);
    return s == SL_OK ? decoder(t, file, e) : s;
}

/* post_processor */

#define MOST_AROUND 16

typedef struct around {
    int32_t id[2][MOST_AROUND]; /* before and after the text */
    int count[2];
} around;

static sl_status special_ids(const sl_tokenizer *t, const sl_json *at, const sl_json *special, int side, around *ret, sl_error *e) {
    const char *name;
    size_t len;
    sl_json id, entry, ids, item;
    if (!sl_json_get(special, "id", &id)) return sl_json_fail(special, e, "id is missing");
    sl_status s = sl_json_string(&id, &name, &len, e);
    if (s != SL_OK) return s;
    sl_json table;
    if (!sl_json_get(at, "special_tokens", &table) || !sl_json_get(&table, name, &entry) || !sl_json_get(&entry, "ids", &ids))
        return sl_json_fail(at, e, "the special token \"%.60s\" has no ids", name);
    if ((s = sl_json_array(&ids, MOST_AROUND, e)) != SL_OK) return s;
    for (size_t i = 0; i < sl_json_size(&ids); i++) {
        int64_t value;
        if (!sl_json_at(&ids, i, &item)) return sl_json_fail(&ids, e, "an entry is null");
        if ((s = sl_json_int(&item, 0, t->vocabulary.count - 1, &value, e)) != SL_OK) return s;
        if (ret->count[side] == MOST_AROUND) return unsupported(at, "a template with this many tokens, among them", name, e);
        ret->id[side][ret->count[side]++] = (int32_t)value;
    }
    return SL_OK;
}

static sl_status template_processing(const sl_tokenizer *t, const sl_json *at, around *ret, sl_error *e) {
    sl_json single, item, part;
    int texts = 0;
    if (!sl_json_get(at, "single", &single)) return sl_json_fail(at, e, "single is missing");
    sl_status s = sl_json_array(&single, 64, e);
    for (size_t i = 0; s == SL_OK && i < sl_json_size(&single); i++) {
        if (!sl_json_at(&single, i, &item)) return sl_json_fail(&single, e, "an entry is null");
        if (sl_json_get(&item, "Sequence", &part)) texts++;
        else if (sl_json_get(&item, "SpecialToken", &part)) s = special_ids(t, at, &part, texts > 0, ret, e);
        else s = sl_json_fail(&item, e, "neither Sequence nor SpecialToken");
    }
    if (s == SL_OK && texts != 1) s = sl_json_fail(&single, e, "the text does not stand in it exactly once");
    return s;
}

static sl_status post_processor(const sl_tokenizer *t, const sl_json *at, const char *type, around *ret, sl_error *e) {
    if (strcmp(type, "ByteLevel") == 0) return SL_OK; /* offsets only */
    if (strcmp(type, "TemplateProcessing") == 0 && !ret->count[0] && !ret->count[1]) return template_processing(t, at, ret, e);
    return unsupported(at, "post-processor", type, e);
}

sl_status sl__pipeline_around(sl_tokenizer *t, const sl_json *file, sl_error *e) {
    sl_json at, items, item;
    around ret = {0};
    const char *type;
    sl_status s = SL_OK;
    if (sl_json_get(file, "post_processor", &at)) {
        if ((s = type_of(&at, &type, e)) != SL_OK) return s;
        if (strcmp(type, "Sequence") != 0) {
            s = post_processor(t, &at, type, &ret, e);
        } else if (!sl_json_get(&at, "processors", &items)) {
            s = sl_json_fail(&at, e, "processors is missing");
        } else {
            s = sl_json_array(&items, 64, e);
            for (size_t i = 0; s == SL_OK && i < sl_json_size(&items); i++) {
                if (!sl_json_at(&items, i, &item)) return sl_json_fail(&items, e, "an entry is null");
                if ((s = type_of(&item, &type, e)) == SL_OK) s = post_processor(t, &item, type, &ret, e);
            }
        }
    }
    return s == SL_OK ? sl__build_around(t, ret.id[0], ret.count[0], ret.id[1], ret.count[1], e) : s;
}

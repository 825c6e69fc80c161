#include "chat/chat.h"

#include "../text/fixture.h"

#include "../run.h"

/* The ids of conversations: templates/ids.json, which transformers' apply_chat_template(tokenize=True) wrote (make_ids.py). */

static json_t *file;
static sl_tokenizer *tokenizer;
static sl_error e;

static void open_file(void) {
    file = reference_json("../templates/ids.json");
}

static void close_file(void) {
    json_decref(file);
    tokenizer = sl_tokenizer_free(tokenizer);
}

static int highest_id(const json_t *vocabulary, const json_t *added) {
    const char *text;
    json_t *v;
    size_t i;
    json_int_t most = -1;
    json_object_foreach((json_t *)(uintptr_t)vocabulary, text, v) if (json_integer_value(v) > most) most = json_integer_value(v);
    json_array_foreach((json_t *)(uintptr_t)added, i, v)
        if (json_integer_value(json_object_get(v, "id")) > most) most = json_integer_value(json_object_get(v, "id"));
    return (int)most;
}

static bool has_token(const json_t *added, const char *content) {
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)(uintptr_t)added, i, v)
        if (!strcmp(json_string_value(json_object_get(v, "content")), content)) return true;
    return false;
}

/* NAME.json, with the file's added tokens behind its own or without them. */
static void open_tokenizer(const char *name, bool with) {
    char path[100];
    size_t i;
    json_t *token;
    snprintf(path, sizeof path, "%s.json", name);
    json_t *all = reference_json(path), *added = json_object_get(all, "added_tokens");
    int id = highest_id(json_object_get(json_object_get(all, "model"), "vocab"), added);
    json_array_foreach(json_object_get(file, "added"), i, token) {
        const char *content = json_string_value(json_object_get(token, "content"));
        if (!with || has_token(added, content)) continue;
        json_array_append_new(added, json_pack("{s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "id", ++id, "content", content, "single_word", 0,
                                               "lstrip", 0, "rstrip", 0,
                                                "normalized", 0, "special", json_is_true(json_object_get(token, "special"))));
    }
    char *text = json_dumps(all, 0);
    sl_vocab_source v = {.tokenizer_json = text, .tokenizer_json_len = strlen(text), .origin = name};
    tokenizer = sl_tokenizer_free(tokenizer);
    ck_assert_msg(sl_tokenizer_open(&v, &tokenizer, &e) == SL_OK, "%s: %s", name, e.message);
    free(text);
    json_decref(all);
}

static void ids_of(const sl_chat *chat, const json_t *talk, sl_ids *ret) {
    json_t *body = json_pack("{s:o}", "messages", json_deep_copy(talk)); /* rendering changes it */
    const sl_json top = {.v = body, .origin = ""};
    sl_rendered r = {0};
    ck_assert_msg(sl_chat_render(&(sl_chat_request){.chat = chat, .memory = 1 << 20}, &top, &r, &e) == SL_OK, "%s", e.message);
    sl_text_part *part = calloc(r.text.segments + 1, sizeof *part);
    sl_rendered_parts(&r, part);
    ret->count = 0;
    ck_assert_msg(sl_tokenizer_encode_parts(tokenizer, r.text.text, part, r.text.segments, false, SIZE_MAX, NULL, NULL, ret,
                                            &e) == SL_OK, "%s", e.message);
    free(part);
    sl_template_text_done(&r.text);
    json_decref(body);
}

START_TEST(ids_are_transformers) {
    size_t i;
    json_t *c;
    char opened[100] = "";
    sl_ids ids = {0};
    open_file();
    json_array_foreach(json_object_get(file, "cases"), i, c) {
        const char *name = json_string_value(json_object_get(c, "tokenizer")), *kind = json_string_value(json_object_get(c, "template"));
        bool added = json_is_true(json_object_get(c, "added"));
        json_t *source = json_object_get(json_object_get(file, "templates"), kind);
        char what[100];
        sl_template *t;
        sl_chat chat;
        snprintf(what, sizeof what, "%s%s", name, added ? " and added tokens" : "");
        if (strcmp(what, opened) != 0) open_tokenizer(name, added);
        strcpy(opened, what);
        ck_assert_msg(sl_template_parse(json_string_value(source), json_string_length(source), &t, &e) == SL_OK, "%s: %s", kind, e.message);
        ck_assert_msg(sl_chat_open(&chat, t, NULL, json_object_get(c, "variables"), tokenizer, &e) == SL_OK, "%s: %s", kind, e.message);
        ids_of(&chat, json_array_get(json_object_get(file, "talks"), (size_t)json_integer_value(json_object_get(c, "talk"))), &ids);
        same_ids(&ids, json_object_get(c, "ids"), what, (size_t)json_integer_value(json_object_get(c, "talk")), kind);
        sl_chat_done(&chat);
        sl_template_free(t);
    }
    ck_assert_uint_gt(i, 100);
    sl_free(ids.id);
    close_file();
}
END_TEST

int main(void) { return RUN_TESTS("chat", 60, ids_are_transformers); }

#include "api/completion.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

/* What /v1/completions reads. The prompt field has four shapes: text, [text], [id], [[id]]. */

static sl_status take_text(sl__ask *q, int i, const sl_json *at, sl_error *e) {
    const char *text;
    size_t len;
    sl_status st = sl_json_string(at, &text, &len, e);
    if (st) return st;
    q->prompt[i].text = sl_strndup(text, len);
    if (!q->prompt[i].text) return sl_fail(e, SL_NOMEM, "out of memory");
    q->prompt[i].len = len;
    q->text_bytes += len;
    return SL_OK;
}

static sl_status take_ids(sl__ask *q, int i, const sl_json *array, sl_error *e) {
    size_t count = sl_json_size(array);
    if (count == 0) return sl_json_fail(array, e, "must not be empty");
    int32_t *id = sl_realloc(NULL, count, sizeof *id);
    if (!id) return sl_fail(e, SL_NOMEM, "out of memory");
    sl_ids *ids = &q->prompt[i].ids;
    *ids = (sl_ids){id, 0, count};
    q->prompt[i].tokens = true;
    int most = q->api->config.model.vocab - 1;
    for (size_t k = 0; k < count; k++) {
        sl_json item;
        int64_t value = 0;
        if (!sl_json_at(array, k, &item)) return sl_json_fail(array, e, "must hold token ids");
        sl_status st = sl_json_int(&item, 0, most, &value, e);
        if (st) return st;
        id[ids->count++] = (int32_t)value;
    }
    return SL_OK;
}

static sl_status read_prompts(sl__ask *q, const sl_json *body, sl_error *e) {
    sl_json at, first;
    if (!sl_json_get(body, "prompt", &at)) return sl_fail_param(e, SL_INVALID, "prompt", "prompt: is missing");
    sl_status st;
    if (json_is_string(at.v)) {
        st = sl__ask_room(q, 1, e);
        return st ? st : take_text(q, 0, &at, e);
    }
    if (!json_is_array(at.v))
        return sl_json_fail(&at, e, "must be a string, an array of token ids, or an array of either");
    size_t count = sl_json_size(&at);
    if (count == 0 || !sl_json_at(&at, 0, &first)) return sl_json_fail(&at, e, "must not be empty");
    if (json_is_integer(first.v)) {
        st = sl__ask_room(q, 1, e);
        return st ? st : take_ids(q, 0, &at, e);
    }
    if (count > SL_MAX_CHOICES)
        return sl_json_fail(&at, e, "has %zu prompts, at most %d are allowed", count, SL_MAX_CHOICES);
    st = sl__ask_room(q, count, e);
    for (size_t i = 0; i < count && !st; i++) {
        sl_json item;
        if (!sl_json_at(&at, i, &item)) return sl_json_fail(&at, e, "must hold strings or arrays of token ids");
        if (json_is_string(item.v)) st = take_text(q, (int)i, &item, e);
        else if (json_is_array(item.v)) st = take_ids(q, (int)i, &item, e);
        else st = sl_json_fail(&item, e, "must be a string or an array of token ids");
    }
    return st;
}

/* What the answer will show of the prompt; its text goes unless it is echoed. */
static sl_status keep_text(sl__ask *q, sl__prompt *p, sl_error *e) {
    if (!q->fields.echo) {
        sl_free(p->text);
        p->text = NULL;
        return SL_OK;
    }
    if (p->tokens) {
        sl_buffer text = {0};
        sl_tokenizer_decode(q->api->config.tokenizer, p->ids.id, p->ids.count, q->fields.skip_special, &text);
        if (!text.failed) sl_buffer_text(&text);
        if (text.failed) {
            sl_buffer_done(&text);
            return sl_fail(e, SL_NOMEM, "out of memory");
        }
        p->text = text.data;
        p->len = text.len;
    }
    p->characters = sl_utf8_count(p->text, p->len);
    return SL_OK;
}

static sl_status encode(sl__ask *q, sl__prompt *p, sl_error *e) {
    sl_status st = p->tokens ? SL_OK : sl__ask_encode(q, p, NULL, 0, e);
    if (!st && p->ids.count == 0) st = sl_fail_param(e, SL_INVALID, "prompt", "prompt: must not be empty");
    return st ? st : keep_text(q, p, e);
}

const sl__reader sl__completion_reader = {.endpoint = SL__COMPLETIONS, .inline_body = SL_INLINE_BODY, .field = "prompt", .most = 16,
                                          .read = read_prompts, .encode = encode};

#include "api/answer.h"

#include "api/errors.h"
#include "api/pieces.h"

#include <string.h>

sl_status sl__answer_begin(sl__answer *a, const sl__ask *q, const sl__writer *w, const char *id, sl_error *e) {
    *a = (sl__answer){.ask = q, .writer = w, .id = id, .created = a->created};
    a->choice = sl_arena_array(q->arena, SL_MEM_REQUEST, (size_t)q->choices, sizeof *a->choice);
    a->own = w->choice_size ? sl_arena_array(q->arena, SL_MEM_REQUEST, (size_t)q->choices, w->choice_size) : NULL;
    if (!a->choice || (w->choice_size && !a->own)) return sl_fail(e, SL_NOMEM, "out of memory");
    a->choices = q->choices;
    return SL_OK;
}

/* --- collecting --- */

void sl__answer_collect(sl__answer *a, const sl_event *ev) {
    sl__choice *ch = &a->choice[ev->choice];
    if (ev->kind == SL_EVENT_FINISH) {
        ch->ended = true;
        ch->finish = ev->finish;
        ch->stop = ev->stop;
        ch->stop_token = ev->stop_token;
        a->ended++;
        a->broken += ev->finish > SL_FINISH_LENGTH;
    }
    a->generated += ev->kind == SL_EVENT_TOKEN;
    a->writer->collect(a, ev);
}

static void drop(sl__choice *ch) {
    for (int i = 0; i < SL__BUFFERS; i++) sl_buffer_done(&ch->buffer[i]);
}

static bool failed(const sl__choice *ch) {
    bool any = false;
    for (int i = 0; i < SL__BUFFERS; i++) any = any || ch->buffer[i].failed;
    return any;
}

size_t sl__answer_bytes(const sl__choice *ch) {
    size_t bytes = 0;
    for (int i = 0; i < SL__BUFFERS; i++) bytes += ch->buffer[i].cap;
    return bytes;
}

bool sl__answer_failed(const sl__answer *a) {
    for (int i = 0; i < a->choices; i++)
        if (failed(&a->choice[i])) return true;
    return false;
}

void sl__answer_free(sl__answer *a) {
    for (int i = 0; i < a->choices; i++) drop(&a->choice[i]);
    sl_buffer_done(&a->piece);
    sl_buffer_done(&a->key);
}

/* --- parts that answers have --- */

static void put_head(const sl__answer *a, const char *object, sl_buffer *out) {
    sl_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", a->id, object, (long long)a->created);
    const char *name = sl__model_name(a->ask->api);
    sl_buffer_json(out, name, strlen(name));
    sl_buffer_puts(out, ",\"choices\":[");
}

static void put_usage(const sl__answer *a, sl_buffer *out) { sl__put_usage(a->ask->prompt_tokens, a->generated, a->cached, out); }

void sl__put_finish(const sl__answer *a, const sl__choice *ch, sl_buffer *out) {
    const sl__fields *f = &a->ask->fields;
    bool asked = false;
    for (int i = 0; i < f->stop_tokens - f->added_stops; i++) asked = asked || f->stop_token[i] == ch->stop_token;
    const char *finish = !ch->ended ? "null" : ch->finish == SL_FINISH_STOP ? "\"stop\"" : "\"length\"";
    sl_buffer_printf(out, ",\"finish_reason\":%s,\"stop_reason\":", finish);
    if (ch->ended && ch->stop >= 0 && ch->stop < f->stops) sl_buffer_json(out, f->stop[ch->stop], f->stop_len[ch->stop]);
    else if (ch->ended && asked) sl_buffer_printf(out, "%d", ch->stop_token);
    else sl_buffer_puts(out, "null");
}

void sl__put_token(sl__answer *a, int32_t token, sl_buffer *out) {
    if (a->ask->fields.ids_as_tokens) {
        sl_buffer_printf(out, "\"token_id:%d\"", token);
        return;
    }
    sl_buffer_clear(&a->piece);
    sl_tokenizer_piece(a->ask->api->config.tokenizer, token, &a->piece);
    if (a->piece.failed) out->failed = true;
    else sl__put_piece_name(&a->piece, out);
}

/* --- events of a stream --- */

#define KEPT 4096 /* bytes of a buffer that is used again for the next event */

void sl__layout_open(const sl__layout *l, const sl__answer *a, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    put_head(a, l->chunk_object, out);
}

void sl__layout_close(const sl__answer *a, bool usage, sl_buffer *out) {
    sl_buffer_append(out, "]", 1);
    if (usage) put_usage(a, out);
    sl_buffer_puts(out, "}\n\n");
}

void sl__layout_chunk(const sl__layout *l, sl__answer *a, int choice, sl_buffer *out) {
    sl__choice *ch = &a->choice[choice];
    bool first = !ch->shown;
    ch->shown = true;
    if (failed(ch)) out->failed = true;
    sl__layout_open(l, a, out);
    for (int part = 0; part < l->parts; part++)
        for (size_t at = 0; l->part(a, choice, part, true, first, &at, out) && !out->failed;) continue;
    sl__layout_close(a, a->ask->fields.continuous_usage, out);
    for (int i = 0; i < SL__BUFFERS; i++) {
        if (ch->buffer[i].cap > KEPT) sl_buffer_done(&ch->buffer[i]);
        sl_buffer_clear(&ch->buffer[i]);
    }
}

void sl__layout_usage(const sl__layout *l, sl__answer *a, sl_buffer *out) {
    sl__layout_open(l, a, out);
    sl__layout_close(a, true, out);
}

void sl__event_error(int status, const char *message, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    sl_api_error_json(out, status, NULL, NULL, message);
    sl_buffer_puts(out, "\n\n");
}

void sl__event_end(sl_buffer *out) { sl_buffer_puts(out, "data: [DONE]\n\n"); }

/* --- the whole answer --- */

size_t sl__answer_size(const sl__answer *a) {
    const sl__fields *f = &a->ask->fields;
    size_t size = 1024;
    for (int i = 0; i < a->choices; i++) {
        const sl__prompt *p = &a->ask->prompt[i / (int)f->n];
        size += 256 + (f->echo ? p->len : 0) + (f->return_ids ? 6 * p->ids.count : 0);
        for (int k = 0; k < SL__BUFFERS; k++) size += a->choice[i].buffer[k].len;
    }
    return size;
}

/* A choice's JSON is a list of parts, each written in slices, so that neither a long echoed prompt nor many log probabilities
 * hold the loop: the prompt's text and the arrays are not copied anywhere before they are written. */
bool sl__layout_whole(const sl__layout *l, sl__answer *a, sl_buffer *out) {
    sl__writing *w = &a->writing;
    size_t before = out->len;
    if (!w->begun) {
        w->begun = true;
        put_head(a, l->object, out);
    }
    while (w->choice < a->choices && out->len - before < SL_SLICE && !out->failed) {
        if (w->part == 0 && w->at == 0 && w->choice) sl_buffer_append(out, ",", 1);
        if (l->part(a, w->choice, w->part, false, true, &w->at, out)) continue;
        w->at = 0;
        if (++w->part < l->parts) continue;
        w->part = 0;
        drop(&a->choice[w->choice++]);
    }
    if (w->choice < a->choices) return true;
    sl_buffer_append(out, "]", 1);
    put_usage(a, out);
    sl_buffer_append(out, "}", 1);
    return false;
}

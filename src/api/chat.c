/* POST /v1/chat/completions: messages in, a message out. */
#include "api/chat.h"
#include "api/handlers.h"
#include "api/pieces.h"
#include "api/serving.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* --- what is asked: the model's template makes one prompt of the messages --- */

typedef struct asked {
    sl_text_part *part; /* [parts] of the prompt's text */
    size_t parts;
    bool thinking; /* the prompt opened the answer's thinking */
} asked;

/* The template's ends of a turn, behind the client's stop tokens. */
static sl_status add_ends(sl__ask *q, sl_error *e) {
    sl__fields *f = &q->fields;
    const sl_chat *c = &q->api->chat;
    if (!c->ends || f->ignore_eos || f->stop_tokens + c->ends > SL_MAX_STOP_TOKENS) return SL_OK;
    int32_t *more = sl_arena_array(q->arena, SL_MEM_REQUEST, (size_t)(f->stop_tokens + c->ends), sizeof *more);
    if (!more) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < f->stop_tokens; i++) more[i] = f->stop_token[i];
    for (int i = 0; i < c->ends; i++) more[f->stop_tokens++] = c->end[i];
    f->stop_token = more;
    f->added_stops = c->ends;
    return SL_OK;
}

static sl_status take_rendered(sl__ask *q, const sl_rendered *r, sl_error *e) {
    asked *own = sl_arena_alloc(q->arena, SL_MEM_REQUEST, sizeof *own);
    if (own) own->part = sl_arena_array(q->arena, SL_MEM_REQUEST, r->text.segments + 1, sizeof *own->part);
    sl__prompt *p = &q->prompt[0];
    p->text = sl_strndup(r->text.text ? r->text.text : "", r->text.len);
    if (!own || !own->part || !p->text) return sl_fail(e, SL_NOMEM, "out of memory");
    sl_rendered_parts(r, own->part);
    own->parts = r->text.segments;
    own->thinking = r->thinking;
    p->len = q->text_bytes = r->text.len;
    q->own = own;
    return SL_OK;
}

static void ignore(void *fields, const char *name) { sl__fields_ignore(fields, name); }

static sl_status read_messages(sl__ask *q, const sl_json *body, sl_error *e) {
    const sl_api *a = q->api;
    const sl_chat_request render = {.chat = &a->chat, .ignore = ignore, .ignore_arg = &q->fields, .strict = a->config.strict,
                                    .memory = sl__api_bounds(a).document / 4, .rendering = sl__api_bounds(a).rendering,
                                    .pause = q->pause, .arg = q->pause_arg};
    sl_rendered r = {0};
    sl_status st = sl__ask_room(q, 1, e);
    if (!st) st = add_ends(q, e);
    if (!st) st = sl_chat_render(&render, body, &r, e);
    if (!st) st = take_rendered(q, &r, e);
    sl_template_text_done(&r.text);
    return st;
}

static sl_status encode(sl__ask *q, sl__prompt *p, sl_error *e) {
    const asked *own = q->own;
    sl_status st = sl__ask_encode(q, p, own->part, own->parts, e);
    if (!st && p->ids.count == 0)
        st = sl_fail_param(e, SL_INVALID, "messages", "messages: the model's chat template makes an empty prompt of them");
    sl_free(p->text);
    p->text = NULL;
    return st;
}

/* inline_body 0: a template may take its time, so all of them are the text thread's. */
const sl__reader sl__chat_reader = {.endpoint = SL__CHAT, .inline_body = 0, .field = "messages", .most = 0, .read = read_messages,
                                    .encode = encode};

/* --- what is told --- */

enum { SAID, THOUGHT, LOGPROBS, IDS }; /* a choice's buffers: texts, the insides of arrays */

/* A token that divides the answer's text: where it begins, in characters of that text, and how many of them spell it. */
typedef struct divider {
    size_t begin, spelled;
    int32_t token;
} divider;

#define MOST_WAITING 16

/* What a choice is at. Text may come later than its tokens, as long as it may be the beginning of a stop string: dividers wait until
 * the text before them is there. */
typedef struct speech {
    bool begun;
    sl_think think;
    size_t heard; /* characters */
    divider divider[MOST_WAITING];
    int waiting;
} speech;

/* {"token": …, "logprob": …, "bytes": […]: the caller closes it. A part of a character is U+FFFD, its bytes are what it is. */
static void put_token(sl__answer *a, int32_t token, float logprob, sl_buffer *out) {
    sl_buffer *piece = &a->piece;
    sl_buffer_clear(piece);
    sl_tokenizer_piece(a->ask->api->config.tokenizer, token, piece);
    sl_buffer_puts(out, "{\"token\":");
    if (a->ask->fields.ids_as_tokens) sl_buffer_printf(out, "\"token_id:%d\"", token);
    else sl_buffer_json(out, piece->data ? piece->data : "", piece->len);
    sl_buffer_puts(out, ",\"logprob\":");
    sl_buffer_float(out, logprob);
    sl_buffer_puts(out, ",\"bytes\":");
    sl__put_byte_array(piece, out);
    if (piece->failed) out->failed = true;
}

static void collect_logprob(sl__answer *a, const sl_event *ev) {
    sl_buffer *out = &a->choice[ev->choice].buffer[LOGPROBS];
    sl__comma(out);
    put_token(a, ev->token, ev->logprob, out);
    sl_buffer_puts(out, ",\"top_logprobs\":[");
    for (int i = 0; i < ev->top_count; i++) {
        if (i) sl_buffer_append(out, ",", 1);
        put_token(a, ev->top[i].token, ev->top[i].logprob, out);
        sl_buffer_append(out, "}", 1);
    }
    sl_buffer_puts(out, "]}");
}

static void await_divider(sl__answer *a, speech *s, const sl_event *ev) {
    const sl_api *api = a->ask->api;
    if (s->waiting == MOST_WAITING) return; /* so many within a stop string: nothing that a model writes */
    sl_buffer_clear(&a->piece);
    if (!a->ask->fields.skip_special) sl_tokenizer_piece(api->config.tokenizer, ev->token, &a->piece);
    size_t spelled = a->piece.len ? sl_utf8_count(a->piece.data, a->piece.len) : 0;
    s->divider[s->waiting++] = (divider){ev->begin, spelled, ev->token};
}

/* Bytes of the text that stand before this character of the answer, which are heard with this. */
static size_t up_to(speech *s, size_t character, const char *text, size_t len) {
    size_t n = 0;
    for (; n < len && s->heard < character; s->heard++)
        for (n++; n < len && ((unsigned char)text[n] & 0xC0) == 0x80;) n++;
    return n;
}

static void collect_text(sl__answer *a, const sl_event *ev) {
    const sl_chat *chat = &a->ask->api->chat;
    const asked *own = a->ask->own;
    sl_buffer *said = &a->choice[ev->choice].buffer[SAID], *thought = &a->choice[ev->choice].buffer[THOUGHT];
    const char *text = ev->text;
    size_t len = ev->text_len, n;
    bool ends = ev->kind == SL_EVENT_FINISH;
    speech *s = (speech *)a->own + ev->choice;
    if (!s->begun && own->thinking) s->think.stage = SL_THINK_BEGUN;
    s->begun = true;
    if (!ends && sl_chat_divides(chat, ev->token)) await_divider(a, s, ev);
    while (s->waiting) {
        divider d = s->divider[0];
        n = up_to(s, d.begin, text, len);
        sl_chat_hear(chat, &s->think, text, n, -1, thought, said);
        text += n, len -= n;
        n = up_to(s, d.begin + d.spelled, text, len);
        text += n, len -= n;
        if (s->heard < d.begin + d.spelled) break;
        sl_chat_hear(chat, &s->think, "", 0, d.token, thought, said);
        memmove(s->divider, s->divider + 1, (size_t)--s->waiting * sizeof d);
    }
    n = up_to(s, SIZE_MAX, text, len);
    sl_chat_hear(chat, &s->think, text, n, -1, thought, said);
    if (ends) sl_think_end(&s->think, thought, said);
    if (!a->ask->fields.include_reasoning) sl_buffer_clear(thought);
}

static void collect(sl__answer *a, const sl_event *ev) {
    const sl__fields *f = &a->ask->fields;
    sl_buffer *ids = &a->choice[ev->choice].buffer[IDS];
    if (ev->kind == SL_EVENT_TOKEN && f->logprobs >= 0) collect_logprob(a, ev);
    if (ev->kind == SL_EVENT_TOKEN && f->return_ids) {
        sl__comma(ids);
        sl_buffer_int(ids, ev->token);
    }
    collect_text(a, ev);
}

/* Two names for one text: clients read the one or the other. */
enum { PART_SAID, PART_REASONING_CONTENT, PART_REASONING, PART_LOGPROBS, PART_FINISH, PART_IDS, PART_PROMPT_IDS, PART_END, PART_COUNT };

static bool put_text(const char *before, const sl_buffer *text, size_t *at, sl_buffer *out) {
    if (*at == 0) sl_buffer_puts(out, before);
    if (sl__slice_text(text->data, text->len, at, out)) return true;
    sl_buffer_append(out, "\"", 1);
    return false;
}

static bool put_part(const sl__answer *a, int i, int part, bool chunk, bool first, size_t *at, sl_buffer *out) {
    const sl__fields *f = &a->ask->fields;
    const sl__choice *ch = &a->choice[i];
    const sl_buffer *b = ch->buffer;
    char before[100];
    switch (part) {
    case PART_SAID:
        if (chunk && ch->ended) { /* nothing is left to say */
            sl_buffer_printf(out, "{\"index\":%d,\"delta\":{", i);
            return false;
        }
        snprintf(before, sizeof before, "{\"index\":%d,\"%s\":{%s\"content\":\"", i, chunk ? "delta" : "message",
                 chunk ? "" : "\"role\":\"assistant\",\"refusal\":null,");
        return put_text(before, &b[SAID], at, out);
    case PART_REASONING_CONTENT: return b[THOUGHT].len && put_text(",\"reasoning_content\":\"", &b[THOUGHT], at, out);
    case PART_REASONING: return b[THOUGHT].len && put_text(",\"reasoning\":\"", &b[THOUGHT], at, out);
    case PART_LOGPROBS:
        if (f->logprobs >= 0) return sl__slice_array("},\"logprobs\":{\"refusal\":null,\"content\":", &b[LOGPROBS], at, out);
        sl_buffer_puts(out, "},\"logprobs\":null");
        return false;
    case PART_FINISH:
        if (f->logprobs >= 0) sl_buffer_append(out, "}", 1);
        sl__put_finish(a, ch, out);
        return false;
    case PART_IDS: return f->return_ids && sl__slice_array(",\"token_ids\":", &b[IDS], at, out);
    case PART_PROMPT_IDS: return f->return_ids && first && sl__slice_ids(",\"prompt_token_ids\":", &a->ask->prompt[0].ids, at, out);
    default: sl_buffer_append(out, "}", 1); return false;
    }
}

static const sl__layout layout = {PART_COUNT, put_part, "chat.completion", "chat.completion.chunk"};

static bool whole(sl__answer *a, sl_buffer *out) { return sl__layout_whole(&layout, a, out); }

static bool holds(const sl__choice *ch) {
    size_t bytes = 0;
    for (int i = 0; i < SL__BUFFERS; i++) bytes += ch->buffer[i].len;
    return bytes > 0;
}

/* A choice's first event says who speaks, the last one why it ended and nothing else: there are clients that read no text where there
 * is a finish_reason. */
static void chunk(sl__answer *a, int choice, sl_buffer *out) {
    sl__choice *ch = &a->choice[choice];
    bool ended = ch->ended;
    if (!ch->shown) {
        sl__layout_open(&layout, a, out);
        sl_buffer_printf(out, "{\"index\":%d,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
                              "\"finish_reason\":null}", choice);
        sl__layout_close(a, a->ask->fields.continuous_usage, out);
    }
    if (ended && holds(ch)) {
        ch->ended = false;
        sl__layout_chunk(&layout, a, choice, out);
        ch->ended = true;
    }
    sl__layout_chunk(&layout, a, choice, out);
}

static void usage(sl__answer *a, sl_buffer *out) { sl__layout_usage(&layout, a, out); }

const sl__writer sl__chat_writer = {.prefix = "chatcmpl-", .name = "chat", .choice_size = sizeof(speech), .collect = collect,
                                    .whole = whole, .chunk = chunk, .usage = usage, .error = sl__event_error, .end = sl__event_end};

void sl__chat_post(void *api, sl_http_exchange *x) { sl__serving_begin(api, x, &sl__chat_reader, &sl__chat_writer); }

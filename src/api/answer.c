#include "api/completion.h"

#include <string.h>

static void comma(sl_buffer *b) {
    if (b->len) sl_buffer_append(b, ",", 1);
}

void sl__answer_collect(sl__completion *c, const sl_event *ev) {
    sl__choice *ch = &c->choice[ev->choice];
    if (ev->kind == SL_EVENT_FINISH) {
        ch->ended = true;
        ch->finish = ev->finish;
        ch->stop = ev->stop;
        ch->stop_token = ev->stop_token;
        c->ended++;
        c->broken = c->broken || ev->finish > SL_FINISH_LENGTH;
    } else {
        if (c->fields.logprobs >= 0) sl__logprobs_collect(c, ch, ev);
        if (ev->kind == SL_EVENT_TOKEN) {
            c->generated++;
            if (c->fields.return_ids) {
                comma(&ch->ids);
                sl_buffer_printf(&ch->ids, "%d", ev->token);
            }
        }
    }
    sl_buffer_append(&ch->text, ev->text, ev->text_len);
}

/* --- one choice, in pieces ---
 *
 * A choice's JSON is a list of parts, each written in slices, so that neither a long echoed prompt nor many log probabilities
 * hold the loop: the prompt's text and the arrays are not copied anywhere before they are written. */

enum { PART_ECHO, PART_TEXT, PART_OFFSETS, PART_LOGPROBS, PART_TOKENS, PART_TOPS, PART_FINISH, PART_IDS, PART_PROMPT_IDS, PART_END, PART_COUNT };

bool sl__put_slice(const char *text, size_t len, size_t *at, sl_buffer *out) {
    size_t n = len - *at;
    if (n > SL_SLICE) { /* cut between characters */
        n = SL_SLICE;
        while (n && ((unsigned char)text[*at + n] & 0xC0) == 0x80) n--;
    }
    if (n) sl_buffer_json_inside(out, text + *at, n);
    *at += n;
    return *at < len;
}

static bool put_array(const char *name, const sl_buffer *inside, size_t *at, sl_buffer *out) {
    if (*at == 0) sl_buffer_printf(out, "%s\":[", name);
    size_t n = inside->len - *at < SL_SLICE ? inside->len - *at : SL_SLICE;
    if (n) sl_buffer_append(out, inside->data + *at, n);
    *at += n;
    if (*at < inside->len) return true;
    sl_buffer_append(out, "]", 1);
    return false;
}

static bool put_ids(const sl_ids *ids, size_t *at, sl_buffer *out) {
    if (*at == 0) sl_buffer_puts(out, ",\"prompt_token_ids\":[");
    for (size_t end = *at + SL_SLICE / 8; *at < ids->count && *at < end; ++*at) sl_buffer_printf(out, "%s%d", *at ? "," : "", ids->id[*at]);
    if (*at < ids->count) return true;
    sl_buffer_append(out, "]", 1);
    return false;
}

static void put_finish(const sl__completion *c, const sl__choice *ch, sl_buffer *out) {
    const char *finish = !ch->ended ? "null" : ch->finish == SL_FINISH_STOP ? "\"stop\"" : "\"length\"";
    sl_buffer_printf(out, ",\"finish_reason\":%s,\"stop_reason\":", finish);
    if (ch->ended && ch->stop >= 0 && ch->stop < c->fields.stops)
        sl_buffer_json(out, c->fields.stop[ch->stop], c->fields.stop_len[ch->stop]);
    else if (ch->ended && ch->stop_token >= 0)
        sl_buffer_printf(out, "%d", ch->stop_token);
    else
        sl_buffer_puts(out, "null");
}

/* A slice of a part of choice i; false: the part is complete. first: the prompt has not been shown yet. */
static bool put_part(const sl__completion *c, int i, int part, bool first, size_t *at, sl_buffer *out) {
    const sl__choice *ch = &c->choice[i];
    const sl__prompt *p = &c->prompt[i / (int)c->fields.n];
    bool logprobs = c->fields.logprobs >= 0;
    switch (part) {
    case PART_ECHO:
        if (*at == 0) sl_buffer_printf(out, "{\"index\":%d,\"text\":\"", i);
        return first && c->fields.echo && sl__put_slice(p->text, p->len, at, out);
    case PART_TEXT:
        if (sl__put_slice(ch->text.data, ch->text.len, at, out)) return true;
        sl_buffer_puts(out, logprobs ? "\",\"logprobs\":{" : "\",\"logprobs\":null");
        return false;
    case PART_OFFSETS: return logprobs && put_array("\"text_offset", &ch->offsets, at, out);
    case PART_LOGPROBS: return logprobs && put_array(",\"token_logprobs", &ch->logprobs, at, out);
    case PART_TOKENS: return logprobs && put_array(",\"tokens", &ch->tokens, at, out);
    case PART_TOPS: return logprobs && put_array(",\"top_logprobs", &ch->tops, at, out);
    case PART_FINISH:
        if (logprobs) sl_buffer_append(out, "}", 1);
        put_finish(c, ch, out);
        return false;
    case PART_IDS: return c->fields.return_ids && put_array(",\"token_ids", &ch->ids, at, out);
    case PART_PROMPT_IDS: return c->fields.return_ids && first && put_ids(&p->ids, at, out);
    default: sl_buffer_append(out, "}", 1); return false;
    }
}

static void put_head(const sl__completion *c, sl_buffer *out) {
    sl_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":", c->id,
                     (long long)c->created);
    const char *name = sl_api_model_name(c->api);
    sl_buffer_json(out, name, strlen(name));
}

sl_usage sl__answer_usage(const sl__completion *c) { return c->request ? sl_request_usage(c->request) : (sl_usage){0}; }

static void put_usage(const sl__completion *c, sl_buffer *out) {
    sl_usage u = sl__answer_usage(c);
    sl_buffer_printf(out,
                     ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
                     "\"prompt_tokens_details\":{\"cached_tokens\":%lld}}",
                     (long long)c->prompt_tokens, (long long)c->generated, (long long)(c->prompt_tokens + c->generated),
                     (long long)u.cached_tokens);
}

/* The buffers of a choice, to do the same to each. */
static int buffers_of(sl__choice *ch, sl_buffer *ret[6]) {
    sl_buffer *all[6] = {&ch->text, &ch->tokens, &ch->logprobs, &ch->tops, &ch->offsets, &ch->ids};
    memcpy(ret, all, sizeof all);
    return 6;
}

static void drop(sl__choice *ch) {
    sl_buffer *b[6];
    for (int i = 0, n = buffers_of(ch, b); i < n; i++) sl_buffer_done(b[i]);
}

static bool failed(const sl__choice *ch) {
    return ch->text.failed || ch->tokens.failed || ch->logprobs.failed || ch->tops.failed || ch->offsets.failed || ch->ids.failed;
}

size_t sl__answer_bytes(const sl__choice *ch) {
    return ch->text.cap + ch->tokens.cap + ch->logprobs.cap + ch->tops.cap + ch->offsets.cap + ch->ids.cap;
}

/* --- events of a stream --- */

#define KEPT 4096 /* bytes of a buffer that is used again for the next event */

void sl__answer_chunk(sl__completion *c, int choice, sl_buffer *out) {
    sl__choice *ch = &c->choice[choice];
    bool first = !ch->sent_first;
    ch->sent_first = true;
    if (failed(ch)) out->failed = true;
    sl_buffer_puts(out, "data: ");
    put_head(c, out);
    sl_buffer_puts(out, ",\"choices\":[");
    for (int part = 0; part < PART_COUNT; part++)
        for (size_t at = 0; put_part(c, choice, part, first, &at, out) && !out->failed;) continue;
    sl_buffer_append(out, "]", 1);
    if (c->fields.continuous_usage) put_usage(c, out);
    sl_buffer_puts(out, "}\n\n");
    sl_buffer *b[6];
    for (int i = 0, n = buffers_of(ch, b); i < n; i++) {
        if (b[i]->cap > KEPT) sl_buffer_done(b[i]);
        sl_buffer_clear(b[i]);
    }
}

void sl__answer_usage_chunk(sl__completion *c, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    put_head(c, out);
    sl_buffer_puts(out, ",\"choices\":[]");
    put_usage(c, out);
    sl_buffer_puts(out, "}\n\n");
}

void sl__answer_error_chunk(int status, const char *message, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    sl_api_error_json(out, status, NULL, NULL, message);
    sl_buffer_puts(out, "\n\n");
}

/* --- the whole answer --- */

bool sl__answer_failed(const sl__completion *c) {
    for (int i = 0; i < c->choices; i++)
        if (failed(&c->choice[i])) return true;
    return false;
}

size_t sl__answer_size(const sl__completion *c) {
    size_t size = 1024;
    for (int i = 0; i < c->choices; i++) {
        const sl__choice *ch = &c->choice[i];
        const sl__prompt *p = &c->prompt[i / (int)c->fields.n];
        size += 256 + ch->text.len + ch->tokens.len + ch->logprobs.len + ch->tops.len + ch->offsets.len + ch->ids.len;
        size += (c->fields.echo ? p->len : 0) + (c->fields.return_ids ? 6 * p->ids.count : 0);
    }
    return size;
}

bool sl__answer_more(sl__completion *c, sl_buffer *out) {
    sl__writing *w = &c->writing;
    size_t before = out->len;
    if (!w->begun) {
        w->begun = true;
        put_head(c, out);
        sl_buffer_puts(out, ",\"choices\":[");
    }
    while (w->choice < c->choices && out->len - before < SL_SLICE && !out->failed) {
        if (w->part == 0 && w->at == 0 && w->choice) sl_buffer_append(out, ",", 1);
        if (put_part(c, w->choice, w->part, true, &w->at, out)) continue;
        w->at = 0;
        if (++w->part < PART_COUNT) continue;
        w->part = 0;
        drop(&c->choice[w->choice++]);
    }
    if (w->choice < c->choices) return true;
    sl_buffer_append(out, "]", 1);
    put_usage(c, out);
    sl_buffer_append(out, "}", 1);
    return false;
}

void sl__answer_free(sl__completion *c) {
    for (int i = 0; i < c->choices; i++) drop(&c->choice[i]);
    sl_buffer_done(&c->piece);
    sl_buffer_done(&c->key);
}
